"""The floor's formulas against sums worked by hand."""

from __future__ import annotations

from roofline import Net, step_flops

from selectrl.gin_edge import build_experiment, experiment_layers


def test_network_by_hand():
    net = Net(n=10, tasks=2, rows=3, latent=4, hidden=(5, 6), out=1)
    first, inner = 2 * 10 * 3 * 5 + 2 * 2 * 4 * 5, 2 * 10 * 5 * 6 + 2 * 10 * 6 * 1
    assert (net.inner, net.forward) == (720, first + inner) == (720, 1100)
    assert net.train == 1100 + 1100 + 720  # forwards, weights, inputs of all layers but the first
    assert net.through(2) == 1100 + 720 + 2 * 10 * 2 * 5


def flops(method: str) -> float:
    experiment = build_experiment(experiment_layers(method=method, env="point_robot"), method)
    return step_flops(experiment, experiment.env.build().spec)


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
