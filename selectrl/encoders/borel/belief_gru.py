"""The networks of a variational belief filter: a recurrent encoder of a sequence, and decoders."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from selectrl.nets.mlp import MLP, Linear
from selectrl.structs import Rows, Spec

LOG_VAR = (-10.0, 4.0)  #: bounds of the belief's log-variance


class Gaussian(NamedTuple):
    """A diagonal Gaussian over the task."""

    mean: Tensor  # (…, latent)
    log_var: Tensor  # (…, latent)


class Embeddings(nn.Module):
    """A ReLU layer for each field of a transition, concatenated; s and s' share a layer.

    Args:
        spec: shapes of the family.
        fields: the fields to embed, in this order.
        widths: widths of the embeddings of an action, a state and a reward.
    """

    def __init__(self, spec: Spec, fields: tuple[str, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        sizes = {"action": (spec.action, widths[0]), "state": (spec.obs, widths[1]), "reward": (1, widths[2])}
        self.layer_of = {field: "state" if field in ("obs", "next_obs") else field for field in fields}
        self.layers = nn.ModuleDict({name: Linear(*sizes[name]) for name in dict.fromkeys(self.layer_of.values())})
        self.width = sum(sizes[name][1] for name in self.layer_of.values())

    def forward(self, rows: Rows) -> Tensor:
        """Embed transitions (…) to (…, width)."""
        values = {**rows._asdict(), "reward": rows.reward[..., None]}
        return torch.cat([self.layers[name](values[field]).relu() for field, name in self.layer_of.items()], -1)


class BeliefGRU(nn.Module):
    """A GRU that reads (a, s', r) of each step and gives a Gaussian belief over the task after it.

    Its equations are explicit, so that it also runs on stacked parameters. In a step that is not live both gates are
    exactly 1, so the hidden state stays bit-equal.

    Args:
        spec: shapes of the family.
        widths: widths of the embeddings of an action, a state and a reward.
        hidden: width of the hidden state.
        latent: width of the belief.
    """

    def __init__(self, spec: Spec, widths: tuple[int, ...], hidden: int, latent: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.embed = Embeddings(spec, ("action", "next_obs", "reward"), widths)
        self.of_input = Linear(self.embed.width, 3 * hidden)  # reset, update, new; torch's order
        self.of_hidden = Linear(hidden, 3 * hidden)
        for layer in (self.of_input, self.of_hidden):
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.heads = Linear(hidden, 2 * latent)

    def init(self, count: int) -> Tensor:
        """Return the hidden state before any step, (count, hidden) zeros."""
        return self.of_hidden.weight.new_zeros(count, self.hidden)

    def beliefs(self, hidden: Tensor) -> Gaussian:
        """Return the beliefs of hidden states, (…, hidden) -> (…, latent) each."""
        mean, log_var = self.heads(hidden).chunk(2, -1)
        return Gaussian(mean, log_var.clamp(*LOG_VAR))

    def gates(self, rows: Rows, live: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows' terms (…) of the reset and update gates (…, 2 · hidden) and of the new state."""
        both, new = self.of_input(self.embed(rows)).split((2 * self.hidden, self.hidden), -1)
        return torch.where(live[..., None], both, torch.inf), new

    def advance(self, hidden: Tensor, both: Tensor, new: Tensor) -> Tensor:
        """Return the next hidden state, (count, hidden)."""
        of_hidden = self.of_hidden(hidden)
        gate = (both + of_hidden[:, : 2 * self.hidden]).sigmoid()
        reset, update = gate.chunk(2, -1)
        candidate = (new + reset * of_hidden[:, 2 * self.hidden :]).tanh()
        return torch.lerp(candidate, hidden, update)

    def sweep(self, hidden: Tensor, rows: Rows, live: Tensor) -> Tensor:
        """Filter sequences.

        Args:
            hidden: states before the first step, (sequence, hidden).
            rows: transitions, (sequence, step, …).
            live: true where a sequence has a step, (sequence, step).

        Returns:
            The states before the first step and after each, (sequence, step + 1, hidden).
        """
        states = [hidden]
        both, new = self.gates(rows, live)
        for at_both, at_new in zip(both.unbind(1), new.unbind(1), strict=True):
            states.append(self.advance(states[-1], at_both, at_new))
        return torch.stack(states, 1)


class BeliefDecoder(nn.Module):
    """Predicts a field of a transition from z and other fields.

    Args:
        spec: shapes of the family.
        reads: fields of the transition that it reads.
        widths: widths of the embeddings of an action, a state and a reward.
        latent: width of z.
        hidden: widths of the hidden layers.
        out: width of the prediction; 0 for a scalar.
        init: ``rlkit`` or ``torch``, the initialisation of the hidden layers; the last layer has torch's weights in
            both cases.
    """

    def __init__(
        self,
        spec: Spec,
        reads: tuple[str, ...],
        widths: tuple[int, ...],
        latent: int,
        hidden: tuple[int, ...],
        out: int,
        init: str = "rlkit",
    ) -> None:
        super().__init__()
        self.embed = Embeddings(spec, reads, widths)
        self.net = MLP(self.embed.width, latent, hidden, out, head=None if init == "torch" else hidden[-1] ** -0.5)

    def forward(self, rows: Rows, z: Tensor) -> Tensor:
        """Predict for each z (sequence, draw, latent) and row (sequence, step, …), (sequence, draw, step[, out])."""
        return self.net(self.embed(rows)[:, None], z[:, :, None])
