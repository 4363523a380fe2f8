"""CORRO's generator of negatives: a conditional VAE of what (s, a) brings in the training tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from selectrl.encoders.corro.configs import CvaeConfig
from selectrl.encoders.corro.negatives import repeat_next_obs, standard_units
from selectrl.errors import RunError
from selectrl.functional.gaussians import reconstruction_loss, standard_normal_kl
from selectrl.nets.mlp import MLP
from selectrl.protocols import Agent, Draw, Noise, Objective, Optim, Phase, TrainingRows
from selectrl.structs import Batch, Losses, Rows, Spec

if TYPE_CHECKING:
    from numpy.random import Generator


FIELDS = ("obs", "action", "reward", "next_obs")
PROBED = 128  # rows per task on which a collapse is looked for
PRIORS = 16  # draws of u for each of them


class CvaeNegatives(nn.Module):
    r"""Decodes (r, s') from (s, a) and u ~ N(0, I).

    .. math:: L = \beta\,\mathrm{KL}\big(q(u|s,a,r,s')\,\Vert\,\mathcal N(0,I)\big)
       + (\hat r - r)^2 + \operatorname{mean}_d(\hat s'_d - s'_d)^2

    averaged over rows, with targets in standard units and s' as a difference from s.

    Differs from the authors' code:

    1. Fitted to the training tasks alone; theirs reads the test tasks' data too.
    2. Targets are standardised, s' is predicted as a difference and β is a hundredth: theirs, raw at β = 0.2, ignores u
       wherever the reward varies between tasks by less than a variance of 0.1.
    3. A collapse stops the run in one sentence; theirs goes on with negatives that equal their queries.
    4. A batch is stratified over tasks instead of i.i.d. over all rows.
    5. Where dynamics are shared a negative keeps the query's own s', so that nothing but its reward tells it apart;
       theirs has the decoded one always (``replace_next_obs=True``).

    Args:
        config: widths, β and targets.
        spec: shapes of the family.

    References:
        Yuan & Lu, "CORRO", ICML 2022.
    """

    centre: Tensor  # (1 + obs,), mean of the targets
    scale: Tensor  # (1 + obs,), their deviation

    def __init__(self, config: CvaeConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        given, target = spec.obs + spec.action, 1 + spec.obs
        self.posterior_net = MLP(given + target, 0, config.hidden, 2 * config.latent_dim)
        self.decoder_net = MLP(given + config.latent_dim, 0, config.hidden, target)
        chosen = config.replace_next_obs
        self.replaces_next_obs = spec.dynamics_vary if chosen is None else chosen
        self.rows = Draw("rows", "context", FIELDS, config.rows)
        self.register_buffer("centre", torch.zeros(target), persistent=False)
        self.register_buffer("scale", torch.ones(target), persistent=False)

    def target(self, rows: Rows) -> Tensor:
        """Return what is to be predicted, in the data's units, (…, 1 + obs)."""
        state = rows.next_obs - rows.obs if self.config.delta else rows.next_obs
        return torch.cat((rows.reward[..., None], state), -1)

    def posterior(self, rows: Rows, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of q(u | s, a, r, s'), (…, latent), at standardised targets."""
        mean, log_variance = self.posterior_net(torch.cat((rows.obs, rows.action, target), -1)).chunk(2, dim=-1)
        return mean, (0.5 * log_variance).exp()

    def decode(self, rows: Rows, u: Tensor) -> Tensor:
        """Return predictions in standard units, (…, 1 + obs)."""
        return self.decoder_net(torch.cat((rows.obs, rows.action, u), -1))

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The evidence bound's negative, with the deviation of the generated reward over u as a term."""
        rows, normal = batch.draws["rows"], batch.noise["posterior"]
        target = (self.target(rows) - self.centre) / self.scale
        mean, deviation = self.posterior(rows, target)
        prediction = self.decode(rows, mean + deviation * normal)
        kl = mean_kl(mean, deviation)
        reward = reconstruction_loss(prediction[..., :1], target[..., :1])
        state = reconstruction_loss(prediction[..., 1:], target[..., 1:])
        first, second = (self.decode(rows, u).detach()[..., 0] for u in (normal, normal.roll(1, 0)))
        apart = self.scale[0] * (0.5 * (first - second).square().mean()).sqrt()  # of two draws from the prior
        terms = {"kl": kl, "reward_error": reward, "next_obs_error": state, "reward_std_over_u": apart}
        return Losses(self.config.beta * kl + reward + state, terms)

    def phases(self) -> tuple[Phase, ...]:
        """Return the phase that fits both networks."""
        fit = Objective(
            name="cvae",
            loss=self.loss,
            moves={"encoder.negatives": Optim(lr=self.config.lr)},
            draws=(self.rows,),
            noise=(Noise("posterior", "normal", ("task", "rows", self.config.latent_dim)),),
        )
        prepare = self.moments
        return (Phase(name="cvae", steps=self.config.steps, objectives=(fit,), encodes=False, prepare=prepare),)

    def noise(self, count: int) -> Noise:
        """Return one u per negative."""
        return Noise("negatives", "normal", ("task", "query", count, self.config.latent_dim))

    def moments(self, store: TrainingRows, generator: Generator) -> dict[str, Tensor]:
        """Return mean and deviation of the targets over all rows of the training tasks."""
        centre, scale = self.centre, self.scale
        if self.config.standardise:
            centre, scale = standard_units(store, self.target, FIELDS)
        return {"encoder.negatives.centre": centre, "encoder.negatives.scale": scale}

    def prepare(self, store: TrainingRows, generator: Generator) -> dict[str, Tensor]:
        """Return the moments again, after a look at whether the decoder listens to u.

        Raises:
            RunError: it does not.
        """
        buffers = self.moments(store, generator)
        kl, apart = self.probe(store, generator, *buffers.values())
        if kl < self.config.min_kl:
            raise RunError(
                f"negatives.cvae has collapsed: its divergence is {kl:.2g} nats where min_kl asks for "
                f"{self.config.min_kl:g}, and over u the generated reward varies by {apart:.2g} of the data's "
                f"deviation, so that negatives would repeat their queries; lower negatives.cvae.beta "
                f"({self.config.beta:g}), raise negatives.cvae.steps ({self.config.steps}), or bind other negatives"
            )
        return buffers

    @torch.no_grad()
    def probe(self, store: TrainingRows, generator: Generator, centre: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the divergence, in nats, and the generated reward's deviation over u, in units of the data's."""
        counts = store.counts
        ranks = (generator.random((len(counts), PROBED)) * counts[:, None]).astype("int64")
        local = torch.arange(len(counts), device=store.device)
        rows = store.gather(local, torch.from_numpy(ranks).to(store.device), FIELDS)
        raw = self.target(rows)
        kl = mean_kl(*self.posterior(rows, (raw - centre) / scale))
        shape = (PRIORS, *rows.reward.shape, self.config.latent_dim)
        u = torch.from_numpy(generator.standard_normal(shape, "float32")).to(centre)
        spread = scale[0] * torch.stack([self.decode(rows, one)[..., 0] for one in u]).std(0).mean()
        return kl, spread / raw[..., 0].std().clamp(min=1e-6)

    def replace(self, query: Rows, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return decoded rewards and next observations."""
        u: Any = batch.noise["negatives"]
        obs, action = (field[:, :, None].expand(*u.shape[:3], -1) for field in (query.obs, query.action))
        made = self.centre + self.scale * self.decode(query._replace(obs=obs, action=action), u)
        if not self.replaces_next_obs:
            return made[..., 0], repeat_next_obs(query, made[..., 0])
        return made[..., 0], made[..., 1:] + obs if self.config.delta else made[..., 1:]


def mean_kl(mean: Tensor, deviation: Tensor) -> Tensor:
    """Return the divergence of (task, row, latent) to N(0, I), summed over dimensions, a mean over rows, in nats."""
    return standard_normal_kl(mean.flatten(0, 1), deviation.flatten(0, 1)) / mean[..., 0].numel()
