"""CORRO's contrastive loss."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from selectrl.functional.contrastive import info_nce

SEEDS = st.integers(0, 10_000)


def embeddings(seed: int, tasks: int = 2, queries: int = 3, negatives: int = 4, latent: int = 3) -> list[Tensor]:
    """Unit queries, keys and negatives."""
    rng = np.random.default_rng(seed)
    shapes = (tasks, queries, latent), (tasks, queries, latent), (tasks, queries, negatives, latent)
    raw = [torch.from_numpy(rng.standard_normal(shape)) for shape in shapes]
    return [value / value.norm(dim=-1, keepdim=True) for value in raw]


def test_golden() -> None:
    # q = (1, 0), key (.6, .8), negatives (0, 1) and (-1, 0), temperature .5: logits 1.2, 0, -2.
    # e^1.2 = 3.320117, e^0 = 1, e^-2 = .135335: -log(3.320117 / 4.455452) = .294128.
    query, key = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.6, 0.8]]])
    negatives = torch.tensor([[[[0.0, 1.0], [-1.0, 0.0]]]])
    assert info_nce(query, key, negatives, temperature=0.5).item() == pytest.approx(0.294128, rel=1e-5)


def test_golden_over_queries() -> None:
    # the one above, and in another task q = key = (0, 1) against negatives (0, 1) twice: ln 3; the mean of both
    query, key = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), torch.tensor([[[0.6, 0.8]], [[0.0, 1.0]]])
    negatives = torch.tensor([[[[0.0, 1.0], [-1.0, 0.0]]], [[[0.0, 1.0], [0.0, 1.0]]]])
    expected = (0.294128 + math.log(3)) / 2
    assert info_nce(query, key, negatives, temperature=0.5).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("count", [1, 2, 16])
def test_chance_is_the_logarithm_of_the_candidates(count: int) -> None:
    query, key, _ = embeddings(0)
    alike = key[:, :, None].expand(-1, -1, count, -1)  # no candidate stands apart
    assert info_nce(query, key, alike, temperature=0.1).item() == pytest.approx(math.log(1 + count), rel=1e-12)


def test_perfect_separation_costs_nothing() -> None:
    query, _, negatives = embeddings(0)
    apart = (-query)[:, :, None].expand_as(negatives)
    assert info_nce(query, query, apart, temperature=0.05).item() == pytest.approx(0.0, abs=1e-12)


@given(SEEDS)
def test_equals_the_loop_over_queries(seed: int) -> None:
    query, key, negatives = embeddings(seed)
    losses = []
    for t, q in np.ndindex(*query.shape[:2]):
        scores = [float(query[t, q] @ other) / 0.1 for other in (key[t, q], *negatives[t, q])]
        losses.append(-math.log(math.exp(scores[0]) / sum(map(math.exp, scores))))
    assert info_nce(query, key, negatives, temperature=0.1).item() == pytest.approx(np.mean(losses), rel=1e-9)


@given(SEEDS)
def test_a_query_knows_its_own_negatives_alone(seed: int) -> None:
    inputs = embeddings(seed)
    rng = np.random.default_rng(seed)
    value = info_nce(*inputs, temperature=0.1).item()
    for axis, size in enumerate(inputs[0].shape[:2]):
        order = torch.from_numpy(rng.permutation(size))
        moved = (tensor.index_select(axis, order) for tensor in inputs)
        assert info_nce(*moved, temperature=0.1).item() == pytest.approx(value, rel=1e-9)
    order = torch.from_numpy(rng.permutation(4))
    assert info_nce(*inputs[:2], inputs[2][:, :, order], temperature=0.1).item() == pytest.approx(value, rel=1e-9)


def test_the_gradient_flows_to_query_key_and_negatives() -> None:
    inputs = [value.requires_grad_() for value in embeddings(0)]
    gradients = torch.autograd.grad(info_nce(*inputs, temperature=0.5), inputs)
    assert all((gradient.abs().sum(-1) > 0).all() for gradient in gradients)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_misfit_raises(which: int) -> None:
    inputs = embeddings(0, 3, 3, 3)
    inputs[which] = inputs[which][..., None]
    with pytest.raises(ValueError, match=r"expected|axes"):
        inspect.unwrap(info_nce)(*inputs, temperature=0.1)
    with pytest.raises(TypeCheckError):
        info_nce(*inputs, temperature=0.1)


def test_negatives_of_other_queries_do_not_fit_by_broadcasting() -> None:
    query, key, negatives = embeddings(0)
    with pytest.raises(ValueError, match="expected one shape"):
        inspect.unwrap(info_nce)(query, key, negatives[:, :1], temperature=0.1)
