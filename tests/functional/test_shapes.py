"""Every function of the maths refuses tensors that would only fit by broadcasting."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from jaxtyping import TypeCheckError

from selectrl.functional import (
    beliefs,
    constraints,
    contrastive,
    distributions,
    evidence,
    gaussians,
    representation,
    values,
)
from selectrl.functional.checks import require_rank, require_same_shape

N, A = torch.ones(3, 3), torch.ones(3, 3, 3)  # all axes alike, so that nothing but the rank tells a misfit
FIT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # tensors that must fit one another, and other arguments
    "bellman_target": ({"reward": N, "terminal": N, "next_value": N}, {"discount": 0.9, "reward_scale": 1.0}),
    "twin_td_loss": ({"q": A, "target": N}, {}),
    "value_loss": ({"v": N, "target": N}, {}),
    "expectile_loss": ({"v": A, "target": N}, {"expectile": 0.7}),
    "smooth_action": ({"action": A, "normal": A}, {"scale": 0.2, "clip": 0.5}),
    "q_scale": ({"q": N}, {"alpha": 1.0}),
    "weighted_cloning_loss": (
        {"q": N, "action": A, "data_action": A, "weight": N},
        {"scale": torch.tensor(1.0)},
    ),
    "relative_advantage": ({}, {"advantage": N}),
    "top_fraction": ({}, {"advantage": N, "fraction": 0.5}),
    "dual_kl": ({"c_policy": N, "c_data": N}, {}),
    "magnitude_penalty": ({}, {"c": N}),  # one tensor has nothing to misfit
    "tanh_gaussian": ({"mean": A, "log_std": A, "normal": A}, {}),
    "tanh_gaussian_log_prob": ({"mean": A, "log_std": A, "action": 0.5 * A}, {}),
    "standard_normal_kl": ({"mean": N, "deviation": N}, {}),
    "reconstruction_loss": ({"prediction": A, "target": A}, {}),
    "gaussian_kl": ({"mean": A, "log_var": A, "prior_mean": A, "prior_log_var": A}, {}),
    "kl_chain": ({"mean": torch.ones(3, 4, 3), "log_var": torch.ones(3, 4, 3), "live": N > 0}, {}),
    "prepend_prior": ({"live": N > 0}, {}),
    "draw_live_places": ({"live": N > 0, "uniform": N}, {}),
    "decoding_error": ({"predicted": A, "target": N}, {}),
    "metric_loss": ({"z": N, "task": torch.arange(3)}, {}),
    "prediction_errors": ({"predicted": A, "target": N, "eligible": torch.ones(3) > 0}, {}),
    "task_posterior": ({"errors": N, "variance": torch.ones(3), "eligible": torch.ones(3) > 0}, {"width": 0.5}),
    "info_nce": (
        {"query": A, "key": A, "negatives": torch.ones(3, 3, 3, 3)},
        {"temperature": 0.1},
    ),
    "club_moments": ({}, {"raw": torch.ones(3, 3, 4)}),
    "club_likelihood_loss": ({"rows": A, "mean": A, "variance": A}, {}),
    "club_bound": ({"rows": A, "mean": A, "variance": A}, {}),
}


def public(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The functions that a module defines."""
    members = inspect.getmembers(module, inspect.isfunction)
    return {
        name: function
        for name, function in members
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


MATHS = (beliefs, evidence, representation, contrastive, values, constraints, distributions, gaussians)
FUNCTIONS = {name: function for module in MATHS for name, function in public(module).items()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_listed_and_takes_its_good_arguments(name: str) -> None:
    tensors, others = FIT[name]
    FUNCTIONS[name](**tensors, **others)


@pytest.mark.parametrize(("name", "which"), [(name, which) for name, (tensors, _) in FIT.items() for which in tensors])
def test_n_against_n_by_1_raises(name: str, which: str) -> None:
    tensors, others = FIT[name]
    wrong = tensors | {which: tensors[which][..., None]}
    with pytest.raises(ValueError, match=r"expected|axes"):  # what a user's process meets, without run-time checks
        inspect.unwrap(FUNCTIONS[name])(**wrong, **others)
    with pytest.raises(TypeCheckError):
        FUNCTIONS[name](**wrong, **others)


@pytest.mark.parametrize("name", ["club_bound", "club_likelihood_loss"])
def test_the_maths_is_checked_at_run_time_in_this_suite(name: str) -> None:
    with pytest.raises(TypeCheckError):  # the task axis is missing
        FUNCTIONS[name](N, N, N)


def test_messages_name_each_tensor_and_its_shape() -> None:
    with pytest.raises(ValueError, match=r"one shape, got left \(2,\), right \(2, 1\)"):
        require_same_shape(left=torch.ones(2), right=torch.ones(2, 1))
    with pytest.raises(ValueError, match=r"expected left with 2 axes, got shape \(2,\)"):
        require_rank(2, left=torch.ones(2))
    require_same_shape(left=torch.ones(2), right=torch.zeros(2))
    require_rank(1, left=torch.ones(2), right=torch.ones(5))
