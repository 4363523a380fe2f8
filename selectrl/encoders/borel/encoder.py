"""BOReL: a belief over the task, updated at every step and pre-trained as a variational autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import attrs
import torch
from torch import Tensor, nn

from selectrl.encoders.borel.belief_gru import BeliefDecoder, BeliefGRU
from selectrl.encoders.borel.configs import BorelConfig
from selectrl.errors import CompositionError
from selectrl.functional.beliefs import decoding_error, draw_live_places, kl_chain, prepend_prior
from selectrl.protocols import Agent, Draw, Noise, Objective, Optim, Phase, TrainingRows
from selectrl.structs import Batch, Belief, Latent, Losses, Rows, Spec

if TYPE_CHECKING:
    import numpy as np


class HiddenState(NamedTuple):
    """The filter's state."""

    hidden: Tensor  # (world, hidden)


class BorelEncoder(nn.Module):
    r"""A GRU that filters a Gaussian belief q_t over the task, trained by decoders of rewards (and states).

    .. math:: \operatorname{mean}_t\operatorname{mean}_k\,(r_k - \hat r(z_t, s_k, a_k, s'_k))^2
       + \beta\,\operatorname{mean}_t KL(q_t\,\|\,q_{t-1}), \qquad z_t \sim q_t,\ q_{-1} = \mathcal N(0, I)

    A sequence consists of several episodes of a task, with their true start states, and the belief continues from each
    episode to the next. Every z_t decodes past and future steps. In the rl phase the filter is frozen: it reads the
    data once, and :meth:`encode` looks up z = (mean, log-variance) at s and at s'.

    Differs from the authors' code:

    1. A sequence is k single episodes of the data, drawn for each batch; their episodes are stored in groups of k. No
       flag marks the end of an episode, and an episode starts with its own first state, not with the last state of the
       previous episode.
    2. Steps after an early end change neither belief nor loss.
    3. The grid of beliefs × steps is subsampled without bias, and both terms are means over time; their code decodes
       the whole grid and sums over t. The losses are equal up to a factor, to which Adam is invariant.
    4. The log-variance is clamped to [-10, 4].
    5. Filter and decoders read only training tasks, and states of the goal never reset the belief.
    6. Relabelled rewards are drawn for each batch from unchanged donor episodes and equal the reward function exactly.
    7. Hidden layers of the decoders have rlkit's initialisation; theirs have torch's (``decoder_init="torch"``).
    8. Tasks are drawn for each step and differ within a meta-batch. In the rl phase their code draws tasks with
       replacement (``train.replacement``) and keeps them for 1,000 updates, 2,000 on Ant (``train.hold_tasks``). It
       also draws the set of training tasks with replacement, which leaves about two thirds of them.
    9. The actor reads the updated Q. Their code builds the actor's loss before the critics' step and takes its gradient
       after it (``train.order`` can put the actor before the critic).

    References:
        Dorfman, Shenfeld & Tamar, "Offline Meta Reinforcement Learning", NeurIPS 2021; Zintgraf et al., "VariBAD",
        ICLR 2020.

    Args:
        config: sizes and weights.
        spec: shapes of the family.

    Raises:
        CompositionError: the config asks for relabelled rewards, but dynamics vary.
    """

    critic_params: Mapping[str, Optim] = {}

    def __init__(self, config: BorelConfig, spec: Spec) -> None:
        super().__init__()
        if config.relabel and spec.dynamics_vary:
            raise CompositionError(
                "encoders.borel.relabel shows one task the transitions of another, which is wrong where dynamics vary; "
                "bind encoders.borel.relabel = 0"
            )
        self.config = config
        self.latent_dim = 2 * config.latent_dim
        widths = (config.action_embedding, config.obs_embedding, config.reward_embedding)
        self.filter = BeliefGRU(spec, widths, config.gru_hidden, config.latent_dim)
        of_reward = ("next_obs", "action", "obs") if config.decode_transition else ("next_obs",)
        sizes = (widths, config.latent_dim, config.decoder_hidden)
        init = config.decoder_init
        decoders = {"reward": BeliefDecoder(spec, of_reward, *sizes, out=0, init=init)}
        if spec.dynamics_vary if config.decode_state is None else config.decode_state:
            decoders["state"] = BeliefDecoder(spec, ("obs", "action"), *sizes, out=spec.obs, init=init)
        self.decoder = nn.ModuleDict(decoders)
        self.table: Tensor  # (task, episode, time + 1, latent): the belief at every state of the training data
        self.place: Tensor  # (task id,), a task's place in that table
        self.register_buffer("table", torch.zeros(0), persistent=False)
        self.register_buffer("place", torch.zeros(0, dtype=torch.int64), persistent=False)

    # --- the vae phase ------------------------------------------------------------------------------------------------

    def join_episodes(self, batch: Batch) -> tuple[Rows, Tensor]:
        """Return the batch's sequences (sequence, step, …), and which steps are live, (sequence, step)."""
        count = len(batch.tasks) * self.config.sequences
        rows = Rows(*(field.reshape(count, -1, *field.shape[2:]) for field in batch.draws["sequences"]))
        if self.config.relabel:
            is_relabelled = batch.noise["relabel"].flatten() < self.config.relabel
            donors = [field.reshape(count, -1, *field.shape[2:]) for field in batch.draws["donors"]]
            rows = Rows(*(replace_first(*pair, is_relabelled) for pair in zip(rows, donors, strict=True)))
        return rows, rows.row >= 0

    def elbo(self, agent: Agent, batch: Batch) -> Losses:
        """Return the negative evidence lower bound, on a draw of beliefs and of steps to decode."""
        rows, live = self.join_episodes(batch)
        q = self.filter.beliefs(self.filter.sweep(self.filter.init(len(live)), rows, live))
        places = draw_live_places(prepend_prior(live), batch.noise["beliefs"].flatten(0, 1))
        mean, log_var = (take_places(value, places) for value in q)
        z = mean + (0.5 * log_var).exp() * batch.noise["latents"].flatten(0, 1)
        steps = draw_live_places(live, batch.noise["decodings"].flatten(0, 1))
        decoded = Rows(*(take_places(field, steps) for field in rows))
        reward = decoding_error(self.decoder["reward"](decoded, z), decoded.reward)
        kl = kl_chain(*q, live)
        loss = reward + self.config.kl_weight * kl
        terms = {"reward": reward, "kl": kl, "belief_std": (0.5 * log_var).exp().mean()}
        if "state" in self.decoder:
            terms["state"] = decoding_error(self.decoder["state"](decoded, z), decoded.next_obs)
            loss = loss + self.config.state_weight * terms["state"]
        return Losses(loss, {"loss": loss, **terms})

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        """Return the vae phase, and the rl phase with the table of beliefs."""
        config = self.config
        lead = ("task", config.sequences)
        draws = [Draw("sequences", "episodes", size=config.sequences * config.episodes)]
        noise = [
            Noise("beliefs", "uniform", (*lead, config.beliefs)),
            Noise("decodings", "uniform", (*lead, config.decodings)),
            Noise("latents", "normal", (*lead, config.beliefs, config.latent_dim)),
        ]
        if config.relabel:
            draws.append(Draw("donors", "relabelled", size=config.sequences))
            noise.append(Noise("relabel", "uniform", lead))
        optim = Optim(lr=config.lr)
        elbo = Objective(
            name="elbo",
            loss=self.elbo,
            moves={"encoder.filter": optim, "encoder.decoder": optim},
            draws=tuple(draws),
            noise=tuple(noise),
        )
        vae = Phase(name="vae", steps=config.steps, objectives=(elbo,), encodes=False)
        return vae, attrs.evolve(rl, draws=(*rl.draws, Draw("rl", "rl", ())), prepare=self.prepare)

    # --- the rl phase -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def prepare(self, store: TrainingRows, generator: np.random.Generator) -> dict[str, Tensor]:
        """Filter all training data once; each task's episodes, in random order, form sequences as in the vae phase."""
        shape = (len(store.tasks), store.episodes, store.time + 1, self.latent_dim)
        table = store.reward.new_zeros(shape)
        for local, count in enumerate(store.episode_counts.tolist()):
            order = torch.from_numpy(generator.permutation(count)).to(store.device)
            groups = -(-count // self.config.episodes)
            hidden = self.filter.init(groups)
            for episodes in torch.split(order, groups):  # the n-th episode of every sequence
                owner = torch.full_like(episodes, local)[:, None]
                rows = store.whole(owner, episodes[:, None], ("action", "reward", "next_obs"))
                states = self.filter.sweep(hidden[: len(episodes)], rows, rows.row >= 0)
                table[local, episodes] = torch.cat(self.filter.beliefs(states), -1)
                hidden = states[:, -1]
        return {"encoder.table": table, "encoder.place": store.place}

    def encode(self, batch: Batch) -> Latent:
        """Look up the beliefs at the RL rows, and at the rows of all other draws (features ``z/<draw>``).

        Before ``prepare`` has filled the table, every row has the prior q_0.
        """
        if not self.table.numel():
            prior = self.read(self.init(1)).z.expand(len(batch.tasks), 1, -1)
            return Latent(prior, prior, {})
        features = {
            f"z/{name}": self.look_up(batch.tasks, rows.row) for name, rows in batch.draws.items() if name != "rl"
        }
        row = batch.draws["rl"].row
        return Latent(self.look_up(batch.tasks, row), self.look_up(batch.tasks, row, after=1), features)

    def look_up(self, tasks: Tensor, row: Tensor, after: int = 0) -> Tensor:
        """Return the beliefs at the states of rows (task, batch), or at their successors, (task, batch, latent)."""
        place = self.place[tasks][:, None]
        row = row.clamp(min=0)  # a negative place is a step after the episode's end, which nothing reads
        state = row + row // (self.table.shape[2] - 1) + after  # an episode has one state more than it has rows
        return self.table.flatten(1, 2)[place, state]

    # --- the filter ---------------------------------------------------------------------------------------------------

    def init(self, worlds: int) -> HiddenState:
        """Return the initial state of worlds, before any transition."""
        return HiddenState(self.filter.init(worlds))

    def step(self, state: HiddenState, rows: Rows, live: Tensor) -> HiddenState:
        """Filter a transition (world, …) in each live world (world,)."""
        return HiddenState(self.filter.advance(state.hidden, *self.filter.gates(rows, live)))

    def read(self, state: HiddenState) -> Belief:
        """Return mean and log-variance as z, (world, latent); the spread is the mean's deviation, then 0."""
        mean, log_var = self.filter.beliefs(state.hidden)
        return Belief(torch.cat((mean, log_var), -1), torch.cat(((0.5 * log_var).exp(), torch.zeros_like(mean)), -1))


def replace_first(own: Tensor, donor: Tensor, mask: Tensor) -> Tensor:
    """Return sequences (sequence, step, …) whose first steps are the donor's where mask (sequence,) is true."""
    steps = donor.shape[1]
    first = torch.where(mask.reshape(-1, *[1] * (own.dim() - 1)), donor, own[:, :steps])
    return torch.cat((first, own[:, steps:]), 1)


def take_places(values: Tensor, places: Tensor) -> Tensor:
    """Return values (sequence, step, …) at places (sequence, draw)."""
    index = places.reshape(*places.shape, *[1] * (values.dim() - 2))
    return values.gather(1, index.expand(*places.shape, *values.shape[2:]))
