"""The losses of SAC against hand-worked numbers and a float64 NumPy form of their formulas, and what each one moves."""

import numpy as np
import pytest
import torch

from selectrl.behaviour.config import SacBehaviourConfig
from selectrl.behaviour.sac import BatchedSac, actor_loss, critic_loss, critic_target, squash, temperature_loss
from selectrl.behaviour.stacked import StackedMLP, StackedTwinQ
from selectrl.structs import Rows, Spec

CONFIG = SacBehaviourConfig(hidden=(8, 8), batch=4)
SPEC = Spec(obs=3, action=2, horizon=5, dynamics_vary=False)
TASKS = [0, 3, 7]


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def normals(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def test_critic_target_golden():
    # task 0, α .5: 1 + .9 (min(4, 2) - .5 · 2) = 1.9; task 1, α .1: 0 + .9 (-3 + .1 · 1); r alone where it terminates
    y = critic_target(
        reward=tensor([1, 5], [0, 2]),
        terminal=tensor([0, 1], [0, 1]),
        next_q=tensor([[4, 9], [-1, 9]], [[2, 9], [-3, 9]]),
        next_log_prob=tensor([2, 9], [-1, 9]),
        temperature=tensor(0.5, 0.1),
        gamma=0.9,
    )
    torch.testing.assert_close(y, tensor([1.9, 5.0], [-2.61, 2.0]))


def test_critic_loss_golden():
    # twins are summed and the batch averaged: ((1 + 9) / 2) + ((4 + 0) / 2) = 7
    loss = critic_loss(tensor([[1, 3]], [[2, 0]]), tensor([0, 0]))
    torch.testing.assert_close(loss, tensor(7.0))


def test_actor_loss_golden():
    # α .5: mean(.5 · 2 - min(4, 1), .5 · -4 - min(0, 3)) = mean(0, -2) = -1
    loss = actor_loss(tensor([[4, 0]], [[1, 3]]), tensor([2, -4]), tensor(0.5))
    torch.testing.assert_close(loss, tensor(-1.0))


def test_temperature_loss_golden():
    # entropy (-log π) of mean 1 lies above its target -2, so α must fall: 3α, and 3α is its gradient in log α
    log_temperature = tensor(np.log(0.1)).requires_grad_()
    loss = temperature_loss(log_temperature, tensor([0, -2]), target_entropy=-2.0)
    torch.testing.assert_close(loss, tensor(0.3))
    (gradient,) = torch.autograd.grad(loss.sum(), log_temperature)
    torch.testing.assert_close(gradient, tensor(0.3))


def test_losses_against_numpy():
    rng = np.random.default_rng(1)
    q, y, log_prob, alpha = rng.normal(size=(2, 3, 5)), rng.normal(size=(3, 5)), rng.normal(size=(3, 5)), rng.random(3)
    torch_of = torch.from_numpy
    ours = critic_loss(torch_of(q), torch_of(y))
    np.testing.assert_allclose(ours, ((q - y) ** 2).mean(2).sum(0))
    ours = actor_loss(torch_of(q), torch_of(log_prob), torch_of(alpha))
    np.testing.assert_allclose(ours, (alpha[:, None] * log_prob - np.minimum(q[0], q[1])).mean(1))
    ours = temperature_loss(torch_of(np.log(alpha)), torch_of(log_prob), -2.0)
    np.testing.assert_allclose(ours, (alpha[:, None] * (-log_prob + 2.0)).mean(1))


def test_squash_against_numpy():
    heads, normal = normals(3, 5, 4), normals(3, 5, 2, seed=1)
    action, log_prob = squash(heads, normal, -5.0, 2.0)
    mean, raw = np.split(heads.numpy(), 2, -1)
    std = np.exp(-5 + 3.5 * (np.tanh(raw) + 1))
    u = mean + std * normal.numpy()
    density = np.exp(-(((u - mean) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi)) / (1 - np.tanh(u) ** 2)
    np.testing.assert_allclose(action, np.tanh(u))
    np.testing.assert_allclose(log_prob, np.log(density).sum(-1))


def test_squash_stays_finite_far_out():
    heads = torch.tensor([[[60.0, 0.0]]], requires_grad=True)
    action, log_prob = squash(heads, torch.zeros(1, 1, 1), -5.0, 2.0)
    log_prob.sum().backward()
    assert action.item() == 1.0
    assert torch.isfinite(log_prob).all()
    assert torch.isfinite(heads.grad).all()


@pytest.mark.parametrize("wrong", ["reward", "terminal", "next_log_prob"])
def test_a_trailing_axis_of_one_is_refused(wrong):
    given = {name: torch.zeros(2, 4) for name in ("reward", "terminal", "next_log_prob")}
    given[wrong] = given[wrong].unsqueeze(-1)
    with pytest.raises(ValueError, match=wrong):
        critic_target(**given, next_q=torch.zeros(2, 2, 4), temperature=torch.ones(2), gamma=0.9)
    with pytest.raises(ValueError, match="target"):
        critic_loss(torch.zeros(2, 2, 4), torch.zeros(2, 4, 1))
    with pytest.raises(ValueError, match="log_prob"):
        actor_loss(torch.zeros(2, 2, 4), torch.zeros(2, 4, 1), torch.ones(2))


def rows(tasks=3, batch=4):
    wide = normals(tasks, batch, 3).float()
    flat = normals(tasks, batch, seed=3).float()
    done = (flat > 1).float()
    return Rows(wide, normals(tasks, batch, 2).float().tanh(), flat, wide.roll(1, 1), done, torch.zeros(tasks, batch))


def test_stacked_forward_is_the_loop_over_tasks():
    stack, x = StackedMLP([5, 6, 7], [3, 8, 8, 4]), normals(3, 10, 3).float()
    for task in range(3):
        h = x[task]
        for layer, (weight, bias) in enumerate(zip(stack.weights, stack.biases, strict=True)):
            h = h @ weight[task] + bias[task]
            h = h if layer == 2 else h.relu()
        torch.testing.assert_close(stack(x)[task], h)
        torch.testing.assert_close(StackedMLP([5 + task], [3, 8, 8, 4])(x[task : task + 1])[0], h)
    torch.testing.assert_close(stack.take([2, 0])(x[[2, 0]]), stack(x)[[2, 0]])


def test_twins_differ_and_keep_their_order():
    q, given = StackedTwinQ([(1, 2), (3, 4)], [5, 8]), rows(2)
    values = q.values(given.obs, given.action)
    x = torch.cat((given.obs, given.action), -1)
    for task, pair in enumerate([(1, 2), (3, 4)]):
        for twin, seed in enumerate(pair):
            torch.testing.assert_close(values[twin, task], StackedMLP([seed], [5, 8, 1])(x[task : task + 1])[0, :, 0])


def test_initialisation():
    stack = StackedMLP([1, 2], [3, 8, 4])
    torch.testing.assert_close(stack.weights[1].mT @ stack.weights[1], torch.eye(4).expand(2, 4, 4))
    assert all(not bias.any() for bias in stack.biases)


def moved(sac, step):
    before = {name: value.clone() for name, value in sac.state().items() if not name.startswith("adam")}
    step()
    return {name.split(".")[0] for name, value in before.items() if not torch.equal(value, sac.state()[name])}


@pytest.mark.parametrize("name", ["critic", "policy", "temperature"])
def test_each_loss_moves_its_own_parameters_only(name):
    sac, given, noise = BatchedSac(CONFIG, SPEC, TASKS), rows(), normals(3, 4, 2).float()

    def step():
        action, log_prob = sac.sample(given.obs, noise)
        losses = {
            "critic": critic_loss(sac.critic.values(given.obs, given.action), given.reward),
            "policy": actor_loss(sac.critic.values(given.obs, action), log_prob, sac.log_temperature.detach().exp()),
            "temperature": temperature_loss(sac.log_temperature, log_prob, -2.0),
        }
        sac._descend(name, losses[name])

    assert moved(sac, step) == {name.replace("temperature", "log_temperature")}


def test_update_moves_everything_and_the_target_when_due():
    sac, given, noise = BatchedSac(CONFIG, SPEC, TASKS), rows(), normals(3, 4, 2).float()
    everything = {"critic", "policy", "log_temperature"}
    assert moved(sac, lambda: sac.update(given, noise, noise, move_target=False)) == everything
    assert moved(sac, lambda: sac.update(given, noise, noise, move_target=True)) == everything | {"target"}


def test_target_moves_by_tau():
    sac, given, noise = BatchedSac(CONFIG, SPEC, TASKS), rows(), normals(3, 4, 2).float()
    before = [value.clone() for value in sac.target.parameters()]
    sac.update(given, noise, noise, move_target=True)
    for old, slow, fast in zip(before, sac.target.parameters(), sac.critic.parameters(), strict=True):
        torch.testing.assert_close(slow, 0.995 * old + 0.005 * fast)


def test_tasks_do_not_see_each_other():
    given, noise = rows(), normals(3, 4, 2).float()
    together, alone = BatchedSac(CONFIG, SPEC, TASKS), BatchedSac(CONFIG, SPEC, TASKS[1:2])
    second = Rows(*(field[1:2] for field in given))
    for _ in range(20):
        together.update(given, noise, noise, move_target=True)
        alone.update(second, noise[1:2], noise[1:2], move_target=True)
    torch.testing.assert_close(together.policy.take([1])(second.obs), alone.policy(second.obs), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.log_temperature[1:2], alone.log_temperature)


def test_initialisation_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    BatchedSac(CONFIG, SPEC, TASKS)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
