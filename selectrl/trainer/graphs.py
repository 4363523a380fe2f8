"""A step as CUDA graphs: recorded once, replayed by one call to the driver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from selectrl.structs import Batch

WARM = 3  # steps that compilers and caching allocators need before they can be recorded

D = TypeVar("D", bound=Hashable)


class Recorded(NamedTuple):
    """One graph, the tensors that it reads its batch from, and those that it leaves its metrics in."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    metrics: dict[str, Tensor]


class Graphs(Generic[D]):
    """Runs a function of (due, batch), with one recorded graph for each different set of due objectives.

    The first few calls run as they are, on a stream of their own as recording asks for; they are steps like any other,
    so that no step is done twice or undone. All graphs share one pool of memory.

    Args:
        function: works on tensors of one device, never waits for it, and returns its results by name.
    """

    def __init__(self, function: Callable[[D, Batch], dict[str, Tensor]]) -> None:
        self._function = function
        self._seen: Counter[D] = Counter()
        self._recorded: dict[D, Recorded] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, due: D, batch: Batch) -> dict[str, Tensor]:
        """Run the function, by a graph if it has run often enough."""
        if due not in self._recorded:
            self._seen[due] += 1
            if self._seen[due] <= WARM:
                return self._warm(due, batch)
            self._recorded[due] = self._record(due, batch)
        graph, place, metrics = self._recorded[due]
        torch._foreach_copy_(tree_leaves(place), tree_leaves(batch))
        graph.replay()
        return {name: value.clone() for name, value in metrics.items()}  # the next replay overwrites them

    def _warm(self, due: D, batch: Batch) -> dict[str, Tensor]:
        main = torch.cuda.current_stream()
        self._stream.wait_stream(main)
        with torch.cuda.stream(self._stream):
            metrics = self._function(due, batch)
        main.wait_stream(self._stream)
        return metrics

    def _record(self, due: D, batch: Batch) -> Recorded:
        place, graph = tree_map(torch.clone, batch), torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            metrics = self._function(due, place)
        return Recorded(graph, place, metrics)
