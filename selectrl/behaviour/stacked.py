"""Networks of one shape, one per task, stacked so that each layer is one batched multiplication."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class StackedMLP(nn.Module):
    """ReLU networks that share their shape, but no weights.

    Weights are orthogonal and biases zero at the start. Each network draws its weights from its own seed, so that they
    do not depend on the other networks of the stack.

    Args:
        seeds: one per network.
        widths: of the input, the hidden layers and the output.
    """

    def __init__(self, seeds: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.weights = nn.ParameterList()  # (net, in, out)
        self.biases = nn.ParameterList()  # (net, 1, out)
        for n_in, n_out in pairwise(widths):
            weights = [nn.init.orthogonal_(torch.empty(n_out, n_in), generator=generator).T for generator in generators]
            self.weights.append(nn.Parameter(torch.stack(weights)))
            self.biases.append(nn.Parameter(torch.zeros(len(seeds), 1, n_out)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply each network to its own rows: (net, batch, in) to (net, batch, out)."""
        layers = list(zip(self.weights, self.biases, strict=True))
        for weight, bias in layers[:-1]:
            x = torch.baddbmm(bias, x, weight).relu_()
        weight, bias = layers[-1]
        return torch.baddbmm(bias, x, weight)

    def take(self, nets: Sequence[int]) -> StackedMLP:
        """Return a copy of some of the networks, in the given order."""
        subset = copy.deepcopy(self)
        for own, new in zip(self.parameters(), subset.parameters(), strict=True):
            new.data = own.detach()[list(nets)]
        return subset


class StackedTwinQ(StackedMLP):
    """Two Q networks per task.

    Args:
        seeds: one pair per task.
        widths: of observation and action together, and of the hidden layers.
    """

    def __init__(self, seeds: Sequence[tuple[int, int]], widths: Sequence[int]) -> None:
        super().__init__([pair[twin] for twin in (0, 1) for pair in seeds], [*widths, 1])

    def values(self, obs: Tensor, action: Tensor) -> Tensor:
        """Return Q(s, a) of (task, batch, ·) rows, (twin, task, batch)."""
        rows = torch.cat((obs, action), -1)
        out: Tensor = self(rows.repeat(2, 1, 1))
        return out.view(2, *rows.shape[:2])
