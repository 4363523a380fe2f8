"""Networks against plain NumPy, and their initialisation."""

from __future__ import annotations

import fakes
import numpy as np
import pytest
import torch
from oracles import mlp, numbers

from selectrl.nets.mlp import MLP, QNetwork

TASK, BATCH, ROWS, LATENT = 3, 5, 4, 2
HIDDEN = (7, 6)


def network(members: int = 0, out: int = 3, latent: int = LATENT, rows: int = ROWS) -> MLP:
    return fakes.scramble(MLP(rows, latent, HIDDEN, out, members=members)).double()


def normals(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def oracle(net: MLP, x: torch.Tensor, z: torch.Tensor | None, member: int | None = None) -> np.ndarray:
    parameters = {f"net.{name}": value for name, value in numbers(net).items()}
    return mlp(parameters, "net", x.numpy(), None if z is None else z.numpy(), member)


def test_golden() -> None:
    # relu(2 x + 3 z - 1) · 4 + .5: x = z = 1 gives relu(4) · 4 + .5 = 16.5; x = -1, z = 0 gives relu(-3) = 0, so .5
    net = MLP(1, 1, (1,), 0)
    for parameter, value in zip((*net.weights, *net.biases), ([[2.0], [3.0]], [[4.0]], [[-1.0]], [[0.5]]), strict=True):
        parameter.data.copy_(torch.tensor(value))
    out = net(torch.tensor([[[1.0]], [[-1.0]]]), torch.tensor([[[1.0]], [[0.0]]]))
    assert out.tolist() == [[16.5], [0.5]]


@pytest.mark.parametrize("out", [0, 3])
@pytest.mark.parametrize("z_rows", [1, BATCH])
def test_equals_numpy_with_z_per_task_or_per_row(out: int, z_rows: int) -> None:
    net, x, z = network(out=out), normals(0, TASK, BATCH, ROWS), normals(1, TASK, z_rows, LATENT)
    expected = oracle(net, x, z)
    np.testing.assert_allclose(net(x, z).detach().numpy(), expected if out else expected[..., 0], rtol=1e-10)


@pytest.mark.parametrize("lead", [(), (BATCH,), (TASK, BATCH), (2, TASK, BATCH)])
def test_equals_numpy_without_z_on_any_leading_axes(lead: tuple[int, ...]) -> None:
    net, x = network(latent=0), normals(0, *lead, ROWS)
    np.testing.assert_allclose(net(x).detach().numpy(), oracle(net, x, None), rtol=1e-10)


def test_equals_numpy_on_worlds_alone() -> None:
    net, x, z = network(), normals(0, BATCH, ROWS), normals(1, BATCH, LATENT)
    np.testing.assert_allclose(net(x, z).detach().numpy(), oracle(net, x, z), rtol=1e-10)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("z_rows", [1, BATCH])
def test_members_are_separate_networks_and_the_first_few_stand_alone(count: int, z_rows: int) -> None:
    net, x, z = network(members=3, out=0), normals(0, TASK, BATCH, ROWS), normals(1, TASK, z_rows, LATENT)
    expected = np.stack([oracle(net, x, z, member)[..., 0] for member in range(count)])
    np.testing.assert_allclose(net(x, z, members=count).detach().numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(net(x, z).detach().numpy()[:count], expected, rtol=1e-10)


def test_the_q_network_reads_observation_then_action() -> None:
    net = fakes.scramble(QNetwork(3, 2, LATENT, HIDDEN)).double()
    obs, action, z = normals(0, TASK, BATCH, 3), normals(1, TASK, BATCH, 2), normals(2, TASK, 1, LATENT)
    both = net.value(obs, action, z)
    assert both.shape == (2, TASK, BATCH)
    for member in (0, 1):
        expected = oracle(net, torch.cat((obs, action), -1), z, member)[..., 0]
        np.testing.assert_allclose(both[member].detach().numpy(), expected, rtol=1e-10)
    torch.testing.assert_close(net.value(obs, action, z, 1), both[:1])


def test_gradients_reach_x_and_z() -> None:
    net, x, z = network(), normals(0, TASK, BATCH, ROWS).requires_grad_(), normals(1, TASK, 1, LATENT).requires_grad_()
    full = z.expand(TASK, BATCH, LATENT)
    shared, apart = (torch.autograd.grad(net(x, value).sum(), (x, z)) for value in (z, full))
    for ours, theirs in zip(shared, apart, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert (ours.flatten(1).abs().sum(1) > 0).all()


@pytest.mark.parametrize("members", [0, 2])
def test_rows_and_z_may_each_have_an_axis_that_the_other_lacks(members: int) -> None:
    net = MLP(3, 2, (5,), 0, members=members)
    x, z = torch.randn(4, 1, 6, 3), torch.randn(4, 7, 1, 2)
    everywhere = net(x.expand(4, 7, 6, 3), z.expand(4, 7, 6, 2))
    torch.testing.assert_close(net(x, z), everywhere)
    assert everywhere.shape[-3:] == (4, 7, 6)


def test_a_z_of_another_rank_raises() -> None:
    """With as many rows as tasks, z of (task, latent) would otherwise be spread over rows in silence."""
    net = network()
    with pytest.raises((ValueError, RuntimeError)):
        net(normals(0, TASK, TASK, ROWS), normals(1, TASK, LATENT))


@pytest.mark.parametrize("head", [3e-3, 1e-3])
@pytest.mark.parametrize("members", [0, 2])
def test_initialisation_is_rlkits(members: int, head: float) -> None:
    """Hidden weights U(±1/√n) with n the number of output units, hidden biases .1, last layer U(±head)."""
    torch.manual_seed(0)
    net = MLP(300, 100, (1000, 50), 20, members=members, head=head)
    bounds = [1000**-0.5, 50**-0.5, head]
    for weight, bound, shape in zip(net.weights, bounds, [(400, 1000), (1000, 50), (50, 20)], strict=True):
        assert weight.shape == ((members, *shape) if members else shape)
        assert weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
        assert weight.mean().abs() < 0.1 * bound
    *hidden, last = net.biases
    assert all((bias == 0.1).all() for bias in hidden)
    assert 0 < last.abs().max() <= head


@pytest.mark.parametrize("members", [0, 2])
def test_initialisation_without_a_head_is_torchs(members: int) -> None:
    """Weights and biases of every layer U(±1/√n) with n the number of input units, as of ``nn.Linear``."""
    torch.manual_seed(0)
    net = MLP(300, 100, (1000, 500), 200, members=members, head=None)
    for layer, (n_in, n_out) in enumerate([(400, 1000), (1000, 500), (500, 200)]):
        theirs = torch.nn.Linear(n_in, n_out)
        for ours, other in ((net.weights[layer], theirs.weight), (net.biases[layer], theirs.bias)):
            assert ours.abs().max() <= n_in**-0.5
            assert ours.std().item() == pytest.approx(n_in**-0.5 / 3**0.5, rel=0.1)
            assert ours.std().item() == pytest.approx(other.std().item(), rel=0.15)
