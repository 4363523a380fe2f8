"""Multi-layer perceptrons conditioned on a task variable: a single network, or several in parallel."""

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
    """torch's affine layer; the precision of its output is that of its input, also under autocast."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply the layer, (…, in) -> (…, out)."""
        return super().forward(input).to(input.dtype)


class MLP(nn.Module):
    """ReLU network(s) on rows x, and optionally on a task variable z.

    The first layer multiplies x and z separately, so a z that is constant per task is multiplied once per task and not
    once per row. With ``members`` several networks run in parallel and the output has a leading axis.

    Args:
        rows: width of x.
        latent: width of z; 0 for networks that do not read it.
        hidden: widths of the hidden layers.
        out: width of the output; 0 gives a value per row and no trailing axis.
        members: number of networks; 0 gives a single network and no leading axis.
        head: bound of the uniform initialisation of the last layer; ``None`` initialises all layers as torch does.

    The initialisation is rlkit's, as in the published methods: hidden weights U(±1/√n) with n the number of *output*
    units, hidden biases 0.1, weights and biases of the last layer U(±3e-3). The initialisation of torch's ``nn.Linear``
    is U(±1/√n) with n the number of *input* units, for weights and biases of every layer.
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
            z: (task, 1 or batch, latent) for x of (task, batch, rows), or with leading axes that broadcast with those
                of x.
            members: apply only the first networks, this number of them.

        Returns:
            (…, out) or (…) if out is 0, with a leading member axis if there are members; in the precision of x, also
            under autocast.

        Raises:
            ValueError: x and z differ in their number of axes, so that z would broadcast over rows silently.
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
        """Apply ReLU to a hidden layer's output, in place: the backward pass does not need the value before it."""
        return flat.relu_() if layer + 1 < len(self.weights) else flat

    def __call__(self, x: Tensor, z: Tensor | None = None, members: int | None = None) -> Tensor:
        """Apply the network(s), see :meth:`forward`."""
        return cast(Tensor, super().__call__(x, z, members))


class QNetwork(MLP):
    """Q(s, a, z) of several networks in parallel: (member, task, batch)."""

    def __init__(self, obs: int, action: int, latent: int, hidden: Sequence[int], *, members: int = 2) -> None:
        super().__init__(obs + action, latent, hidden, 0, members=members)

    def value(self, obs: Tensor, action: Tensor, z: Tensor, members: int | None = None) -> Tensor:
        """Return the values of all members, or only of the first ones, (member, task, batch)."""
        return self(torch.cat((obs, action), -1), z, members)
