"""CORRO's generator of negatives: a conditional VAE of the outcomes of (s, a) in the training tasks."""

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
PROBE_ROWS = 128  # rows per task in the test for a collapse
PROBE_DRAWS = 16  # draws of u for each of these rows


class CvaeNegatives(nn.Module):
    r"""Decodes (r, s') from (s, a) and u ~ N(0, I).

    .. math:: L = \beta\,\mathrm{KL}\big(q(u|s,a,r,s')\,\Vert\,\mathcal N(0,I)\big)
       + (\hat r - r)^2 + \operatorname{mean}_d(\hat s'_d - s'_d)^2

    averaged over rows, with targets in standard units and s' as a difference from s.

    Differs from the authors' code:

    1. It is fitted only to the training tasks; theirs also reads the data of the test tasks.
    2. Targets are standardised, s' is predicted as a difference and β is a hundredth of theirs. Theirs, without
       standardisation and with β = 0.2, ignores u wherever the variance of the reward between tasks is below 0.1.
    3. A collapse stops the run with a message; their code continues with negatives that equal their queries.
    4. A batch is stratified over tasks; theirs is i.i.d. over all rows.
    5. Where dynamics are shared a negative keeps the query's own s', so that only its reward differs; theirs always has
       the decoded s' (``replace_next_obs=True``).

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
        condition, target = spec.obs + spec.action, 1 + spec.obs
        self.posterior_net = MLP(condition + target, 0, config.hidden, 2 * config.latent_dim)
        self.decoder_net = MLP(condition + config.latent_dim, 0, config.hidden, target)
        replaces = config.replace_next_obs
        self.replaces_next_obs = spec.dynamics_vary if replaces is None else replaces
        self.rows = Draw("rows", "context", FIELDS, config.rows)
        self.register_buffer("centre", torch.zeros(target), persistent=False)
        self.register_buffer("scale", torch.ones(target), persistent=False)

    def target(self, rows: Rows) -> Tensor:
        """Return the targets of the decoder, in the data's units, (…, 1 + obs)."""
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
        """The negative evidence bound, with the deviation of the generated reward over u as a term."""
        rows, normal = batch.draws["rows"], batch.noise["posterior"]
        target = (self.target(rows) - self.centre) / self.scale
        mean, deviation = self.posterior(rows, target)
        prediction = self.decode(rows, mean + deviation * normal)
        kl = mean_kl(mean, deviation)
        reward = reconstruction_loss(prediction[..., :1], target[..., :1])
        state = reconstruction_loss(prediction[..., 1:], target[..., 1:])
        first, second = (self.decode(rows, u).detach()[..., 0] for u in (normal, normal.roll(1, 0)))
        std = self.scale[0] * (0.5 * (first - second).square().mean()).sqrt()  # of two draws from the prior
        terms = {"kl": kl, "reward_error": reward, "next_obs_error": state, "reward_std_over_u": std}
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
        """Return a draw of u per negative."""
        return Noise("negatives", "normal", ("task", "query", count, self.config.latent_dim))

    def moments(self, store: TrainingRows, generator: Generator) -> dict[str, Tensor]:
        """Return mean and deviation of the targets over all rows of the training tasks."""
        centre, scale = self.centre, self.scale
        if self.config.standardise:
            centre, scale = standard_units(store, self.target, FIELDS)
        return {"encoder.negatives.centre": centre, "encoder.negatives.scale": scale}

    def prepare(self, store: TrainingRows, generator: Generator) -> dict[str, Tensor]:
        """Return the moments again, after a test whether the decoder depends on u.

        Raises:
            RunError: the decoder ignores u.
        """
        buffers = self.moments(store, generator)
        kl, spread = self.probe(store, generator, *buffers.values())
        if kl < self.config.min_kl:
            raise RunError(
                f"negatives.cvae has collapsed: its divergence is {kl:.2g} nats, but min_kl is {self.config.min_kl:g}, "
                f"and over u the generated reward varies by {spread:.2g} of the data's deviation, so negatives would "
                f"equal their queries; lower negatives.cvae.beta ({self.config.beta:g}), raise negatives.cvae.steps "
                f"({self.config.steps}), or bind other negatives"
            )
        return buffers

    @torch.no_grad()
    def probe(self, store: TrainingRows, generator: Generator, centre: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the divergence, in nats, and the generated reward's deviation over u, relative to the data's."""
        counts = store.counts
        ranks = (generator.random((len(counts), PROBE_ROWS)) * counts[:, None]).astype("int64")
        local = torch.arange(len(counts), device=store.device)
        rows = store.gather(local, torch.from_numpy(ranks).to(store.device), FIELDS)
        raw = self.target(rows)
        kl = mean_kl(*self.posterior(rows, (raw - centre) / scale))
        shape = (PROBE_DRAWS, *rows.reward.shape, self.config.latent_dim)
        u = torch.from_numpy(generator.standard_normal(shape, "float32")).to(centre)
        spread = scale[0] * torch.stack([self.decode(rows, draw)[..., 0] for draw in u]).std(0).mean()
        return kl, spread / raw[..., 0].std().clamp(min=1e-6)

    def replace(self, query: Rows, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return decoded rewards and next observations."""
        u: Any = batch.noise["negatives"]
        obs, action = (field[:, :, None].expand(*u.shape[:3], -1) for field in (query.obs, query.action))
        decoded = self.centre + self.scale * self.decode(query._replace(obs=obs, action=action), u)
        reward, state = decoded[..., 0], decoded[..., 1:]
        if not self.replaces_next_obs:
            return reward, repeat_next_obs(query, reward)
        return reward, state + obs if self.config.delta else state


def mean_kl(mean: Tensor, deviation: Tensor) -> Tensor:
    """Return the divergence of (task, row, latent) from N(0, I), summed over dimensions, a mean over rows, in nats."""
    return standard_normal_kl(mean.flatten(0, 1), deviation.flatten(0, 1)) / mean[..., 0].numel()
