"""Multi-layer perceptrons conditioned on a task variable, alone or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from selectrl.functional.checks import require_rank


def _uniform(shape: Sequence[int], bound: float) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class Linear(nn.Linear):
    """torch's affine layer, which answers in the precision of its input whatever autocast multiplies in."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it, (…, in) -> (…, out)."""
        return super().forward(input).to(input.dtype)


class MLP(nn.Module):
    """ReLU network(s) on rows x, and optionally on a task variable z.

    The first layer multiplies x and z apart, so a z that is constant per task is multiplied once per task and not once
    per row. With ``members`` the networks stand side by side and the output gains a leading axis.

    Args:
        rows: width of x.
        latent: width of z; 0 for networks that do not see it.
        hidden: widths of the hidden layers.
        out: width of the output; 0 gives one value per row and no trailing axis.
        members: how many networks; 0 gives a single one and no leading axis.
        head: bound of the uniform initialisation of the last layer; ``None`` initialises all layers as torch does.

    The initialisation is rlkit's, which the published methods inherit: hidden weights U(±1/√n) with n the number of
    *output* units, hidden biases 0.1, last layer U(±3e-3) throughout. That of torch's ``nn.Linear`` is U(±1/√n) with n
    the number of *input* units, for weights and biases of every layer.
    """

    def __init__(
        self, rows: int, latent: int, hidden: Sequence[int], out: int, *, members: int = 0, head: float | None = 3e-3
    ) -> None:
        super().__init__()
        lead = (members,) if members else ()
        widths = [rows + latent, *hidden]
        self.rows, self.members, self.scalar = rows, members, out == 0
        layers = list(pairwise([*widths, max(out, 1)]))
        if head is None:
            self.weights = nn.ParameterList(_uniform((*lead, n_in, n_out), n_in**-0.5) for n_in, n_out in layers)
            self.biases = nn.ParameterList(_uniform((*lead, 1, n_out), n_in**-0.5) for n_in, n_out in layers)
        else:
            self.weights = nn.ParameterList(_uniform((*lead, *layer), layer[1] ** -0.5) for layer in layers[:-1])
            self.weights.append(_uniform((*lead, *layers[-1]), head))
            self.biases = nn.ParameterList(nn.Parameter(torch.full((*lead, 1, width), 0.1)) for width in hidden)
            self.biases.append(_uniform((*lead, 1, max(out, 1)), head))

    def forward(self, x: Tensor, z: Tensor | None = None, members: int | None = None) -> Tensor:
        """Apply the network(s).

        Args:
            x: (…, rows).
            z: (task, 1 or batch, latent) beside x of (task, batch, rows), or with leading axes that fit those of x.
            members: apply only so many of the networks that stand side by side.

        Returns:
            (…, out) or (…) if out is 0, with the member axis in front if there are members; of x's precision, in which
            losses go on, whatever autocast multiplies in.

        Raises:
            ValueError: x and z differ in their number of axes; z would be spread over rows in silence.
        """
        if z is not None:
            require_rank(x.dim(), z=z)
        weights = [weight[:members] if members else weight for weight in self.weights]
        biases = [bias[:members] if members else bias for bias in self.biases]
        affine = torch.baddbmm if self.members else torch.addmm
        flat = x.reshape(-1, self.rows)  # all rows
        shared = flat.expand(len(biases[0]), *flat.shape) if self.members else flat
        flat = affine(biases[0], shared, weights[0][..., : self.rows, :])  # (member?, all rows, width)
        axes = x.shape[:-1]
        if z is not None:
            lead = flat.shape[:-2]
            of_z = z.reshape(-1, z.shape[-1]) @ weights[0][..., self.rows :, :]
            wide = flat.reshape(*lead, *axes, flat.shape[-1]) + of_z.reshape(*lead, *z.shape[:-1], flat.shape[-1])
            axes = wide.shape[len(lead) : -1]
            flat = self._relu(wide, 0).reshape(*lead, -1, flat.shape[-1])
        else:
            flat = self._relu(flat, 0)
        for layer, (weight, bias) in enumerate(zip(weights[1:], biases[1:], strict=True), 1):
            flat = self._relu(affine(bias, flat, weight), layer)
        out = flat.reshape(*flat.shape[:-2], *axes, flat.shape[-1]).to(x.dtype)
        return out.squeeze(-1) if self.scalar else out

    def _relu(self, flat: Tensor, layer: int) -> Tensor:
        """Bend a hidden layer's output, in place: what made it does not need its value backwards, and it is no view."""
        return flat.relu_() if layer + 1 < len(self.weights) else flat

    def __call__(self, x: Tensor, z: Tensor | None = None, members: int | None = None) -> Tensor:
        """Apply the network(s), see :meth:`forward`."""
        return cast(Tensor, super().__call__(x, z, members))


class QNetwork(MLP):
    """Q(s, a, z), several at once: (member, task, batch)."""

    def __init__(self, obs: int, action: int, latent: int, hidden: Sequence[int], *, members: int = 2) -> None:
        super().__init__(obs + action, latent, hidden, 0, members=members)

    def value(self, obs: Tensor, action: Tensor, z: Tensor, members: int | None = None) -> Tensor:
        """Return the values of all members, or of the first few alone, (member, task, batch)."""
        return self(torch.cat((obs, action), -1), z, members)
