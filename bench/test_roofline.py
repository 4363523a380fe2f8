"""The floor's formulas against sums worked by hand."""

from __future__ import annotations

import pytest
from roofline import Net, step_flops

from selectrl.gin_edge import build_experiment, experiment_layers, shipped
from selectrl.registry import FAMILIES


def test_network_by_hand():
    net = Net(n=10, latents=2, rows=3, latent=4, hidden=(5, 6), out=1)
    first, inner = 2 * 10 * 3 * 5 + 2 * 2 * 4 * 5, 2 * 10 * 5 * 6 + 2 * 10 * 6 * 1
    assert (net.inner, net.forward) == (720, first + inner) == (720, 1100)
    assert net.train == 1100 + 1100 + 720  # forwards, weights, inputs of all layers but the first
    assert net.through(2) == 1100 + 720 + 2 * 10 * 2 * 5


def flops(method: str, *settings: str) -> float:
    layers = experiment_layers(method=method, env="point_robot", settings=settings)
    experiment = build_experiment(layers, method)
    return step_flops(experiment, FAMILIES.build(experiment.env).spec)


def test_point_robot_by_hand():
    """16 x 256 rows and 16 x 1024 of context; 3 hidden layers of 256 and 200; 2 observations, 2 actions, z of 20."""
    n, m = 16 * 256, 16 * 1024
    deep, z = 2 * n * (2 * 256 * 256), 2 * 16 * 20 * 256
    q_in, q_out = 2 * n * 4 * 256 + z, 2 * n * 256
    v_in = 2 * n * 2 * 256 + z
    q = 3 * (deep + q_out) + 2 * q_in
    v = 3 * (deep + q_out) + 2 * v_in
    encoder = 3 * (2 * m * 200 * (200 + 200 + 20)) + 2 * (2 * m * 5 * 200)
    focal = encoder + 2 * q + v + (v_in + deep + q_out)
    policy = 3 * (deep + 4 * q_out) + 2 * v_in  # mean and log-deviation of 2 actions
    through = 2 * (q_in + 2 * (deep + q_out) + 2 * n * 2 * 256)
    assert flops("focal") == focal + policy + through
    club = 2 * m * 200 * (200 + 200 + 40)
    assert flops("csro") - flops("focal") == 4 * club + 3 * (2 * m * 4 * 200)


# Every shipped method at sizes that a head can hold: 2 tasks of 3 rows and of 4 rows of context, a point robot's 2
# observations and 2 actions. Hidden layers have 3 and 5 units, those of row network and CLUB 4. z has 2 numbers,
# CORRO's 5, BOReL's 5 means and 5 variances. A product of (m, k) and (k, n) is 2mkn. Each network is given as the
# products of its layers; training it takes each twice (value and weights) and all but the first once more (their
# inputs).
TINY = ("train.meta_batch=2", "train.batch=3", "train.context=4", "critics.{critic}.hidden=(3, 5)")
NETS = "policies.{policy}.hidden=(3, 5)"

Q1, Q2, Q3 = 2 * 6 * 4 * 3, 2 * 6 * 3 * 5, 2 * 6 * 5 * 1  # 144 + 180 + 60 on the 6 rows, without z
V1 = 2 * 6 * 2 * 3  # 72
Z2, Z5, Z10 = 2 * 2 * 2 * 3, 2 * 2 * 5 * 3, 2 * 6 * 10 * 3  # 24 and 60 once a task; 360, another z in each row
ACTIONS = 2 * 6 * 2 * 3  # 72, the gradient of the action through Q
PI2, PI4 = 2 * 6 * 5 * 2, 2 * 6 * 5 * 4  # 120 and 240, the policy's last layer: a mean, or mean and deviation
ROW1, ROW2, ROW4 = 2 * 8 * 5 * 4, 2 * 8 * 4 * 2, 2 * 8 * 4 * 4  # 320, and 128 or 256: the 8 rows of context


def q_trained(z: int) -> int:
    return 2 * (Q1 + z + Q2 + Q3) + Q2 + Q3


def v_trained(z: int) -> int:
    return 2 * (V1 + z + Q2 + Q3) + Q2 + Q3


def soft_actor(z: int) -> int:
    """The policy is trained; both Q forwards, back to the action."""
    return 2 * (V1 + z + Q2 + PI4) + Q2 + PI4 + 2 * (Q1 + z + Q2 + Q3 + Q2 + Q3 + ACTIONS)


def with_target_v(z: int) -> int:
    """Both Q and V trained, and V's target once forwards."""
    return 2 * q_trained(z) + v_trained(z) + (V1 + z + Q2 + Q3)


def with_target_q(z: int, last: int) -> int:
    """Both Q and V trained; the target policy and both target Q once forwards."""
    return 2 * q_trained(z) + v_trained(z) + (V1 + z + Q2 + last) + 2 * (Q1 + z + Q2 + Q3)


FOCAL_ENCODER = 2 * (ROW1 + ROW2) + ROW2  # 1024
CLUB = 2 * (ROW4 + ROW4) + ROW4 + (ROW4 + ROW4)  # 4 -> 4 -> 4, trained, and once more forwards: 1792
DECODER = 2 * (ROW4 + 2 * 2 * 2 * 4 + 2 * 8 * 4 * 1) + 2 * 8 * 4 * 1  # 4 and a z each task -> 4 -> 1, trained: 768
PEARL_ENCODER = 2 * (ROW1 + ROW4) + ROW4 + 2 * Z2  # z's gradient through both Q
ATTENTION = 2 * (2 * 8 * 5 * 1) + 2 * Z5  # a score for each of 8 rows and its gradient; z's through both Q
OF_EPISODES = 2 * (2 * 40 * 5 * 1) + 2 * Z5  # an episode of 20 steps for each task
BRAC = 3 * 3 * q_trained(Z2) + 2 * (V1 + Z2 + Q2 + PI4) + (Q1 + Z2 + Q2 + Q3 + Q2 + Q3 + ACTIONS) + (Q1 + Z2 + Q2 + Q3)
CLONING = 2 * (V1 + Z2 + Q2 + PI2) + Q2 + PI2 + (Q1 + Z2 + Q2 + Q3 + Q2 + Q3 + ACTIONS) + (Q1 + Z2 + Q2 + Q3)

SMALL_ROWS = "ENCODER_HIDDEN=(4,)"
SMALL_Z = "LATENT_DIM=2"
HANDS = {
    "focal": (FOCAL_ENCODER + with_target_v(Z2) + soft_actor(Z2), 7276, "twin_q_v", SMALL_ROWS, SMALL_Z),
    "csro": (FOCAL_ENCODER + CLUB + with_target_v(Z2) + soft_actor(Z2), 9068, "twin_q_v", SMALL_ROWS, SMALL_Z),
    "select": (FOCAL_ENCODER + CLUB + with_target_q(Z2, PI2) + CLONING / 2, 8162, "dual_target", SMALL_ROWS, SMALL_Z),
    "select_plus": (
        *(FOCAL_ENCODER + CLUB + DECODER + with_target_q(Z2, PI2) + CLONING / 2, 8930),
        *("dual_target", SMALL_ROWS, SMALL_Z),
    ),
    "offpearl": (PEARL_ENCODER + with_target_v(Z2) + soft_actor(Z2), 7708, "twin_q_v", SMALL_ROWS, SMALL_Z),
    "offpearl_brac": (
        *(PEARL_ENCODER + with_target_v(Z2) + soft_actor(Z2) + BRAC, 19372),
        *("twin_q_v", SMALL_ROWS, SMALL_Z, "actors.brac.dual_hidden=(3, 5)"),
    ),
    "corro": (ATTENTION + with_target_v(Z5) + soft_actor(Z5), 6928, "twin_q_v"),
    "corro_reference": (OF_EPISODES + with_target_v(Z5) + soft_actor(Z5), 7568, "twin_q_v"),
    "borel": (with_target_v(Z10) + soft_actor(Z10), 9948, "twin_q_v", "encoders.borel.latent_dim=5"),
    "borel_oracle_reward": (with_target_v(Z10) + soft_actor(Z10), 9948, "twin_q_v", "encoders.borel.latent_dim=5"),
    "borel_reference": (with_target_q(Z10, PI4) + soft_actor(Z10), 11616, "dual_target"),
}


@pytest.mark.parametrize("method", shipped("methods"))
def test_every_method_by_hand(method):
    worked, total, critic, *settings = HANDS[method]
    policy = "deterministic" if method.startswith("select") else "tanh_gaussian"
    tiny = [one.format(critic=critic, policy=policy) for one in (*TINY, NETS)]
    assert flops(method, *tiny, *settings) == worked == total
