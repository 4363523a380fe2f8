"""A naive CSRO step at Point-Robot's published sizes, written from the formulas: what the library is measured against.

It does what the published formulas say, as literally as they say it: the CLUB bound on a grid over all pairs of context
rows of a task, the distance-metric loss by a loop over pairs of tasks, z repeated to every row, one optimiser per
network, and separate backward passes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

TASKS, ROWS, CONTEXT, LATENT, OBS, ACTION = 16, 256, 1024, 20, 2, 2


def mlp(n_in: int, width: int, out: int) -> nn.Sequential:
    """A network with three hidden layers."""
    return nn.Sequential(
        nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, out),
    )  # fmt: skip


def club_grid(rows: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """CLUB's bound with its negative term over all pairs (i, k) of a task's rows."""
    positive = (rows - mean).square() / variance
    negative = (rows[:, None, :, :] - mean[:, :, None, :]).square() / variance[:, :, None, :]
    return negative.mean() - positive.mean()


def metric_loop(z: Tensor, eps: float = 1e-3) -> Tensor:
    """The distance-metric loss by a double loop; no two rows share a task."""
    total, pairs = z.new_zeros(()), 0
    for i in range(len(z)):
        for j in range(i + 1, len(z)):
            total = total + 1 / ((z[i] - z[j]).square().mean() + 100 * eps)
            pairs += 1
    return total / (pairs + eps)


class NaiveCsro:
    """Networks, optimisers and one training step."""

    def __init__(self) -> None:
        self.encoder = mlp(OBS + ACTION + 1, 200, LATENT)
        self.club = mlp(OBS + ACTION, 200, 2 * LATENT)
        self.q1, self.q2 = (mlp(OBS + ACTION + LATENT, 256, 1) for _ in range(2))
        self.v, self.v_target = (mlp(OBS + LATENT, 256, 1) for _ in range(2))
        self.policy = mlp(OBS + LATENT, 256, 2 * ACTION)
        networks = (self.encoder, self.club, self.q1, self.q2, self.v, self.policy)
        self.optimisers = {id(one): torch.optim.Adam(one.parameters(), lr=3e-4) for one in networks}
        self.context = torch.randn(TASKS, CONTEXT, OBS + ACTION + 1)
        self.obs, self.next_obs = torch.randn(2, TASKS * ROWS, OBS).unbind(0)
        self.action = torch.rand(TASKS * ROWS, ACTION) * 2 - 1
        self.reward = -torch.rand(TASKS * ROWS, 1)

    def descend(self, loss: Tensor, *networks: nn.Module) -> None:
        """One step of the networks' optimisers."""
        for network in networks:
            self.optimisers[id(network)].zero_grad()
        loss.backward(retain_graph=True)
        for network in networks:
            self.optimisers[id(network)].step()

    def moments(self) -> tuple[Tensor, Tensor]:
        """CLUB's mean and variance of each context row."""
        mean, scale = self.club(self.context[..., : OBS + ACTION]).tanh().chunk(2, -1)
        return mean, nn.functional.softplus(scale)

    def sample(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw actions; returns them, log-probabilities and the regulariser."""
        mean, log_std = self.policy(torch.cat((self.obs, z), -1)).chunk(2, -1)
        log_std = log_std.clamp(-20, 0)
        gaussian = torch.distributions.Normal(mean, log_std.exp())
        before = gaussian.rsample()
        action = before.tanh()
        log_prob = (gaussian.log_prob(before) - (1 - action.square() + 1e-6).log()).sum(-1, keepdim=True)
        return action, log_prob, 1e-3 * (mean.square().mean() + log_std.square().mean())

    def step(self) -> None:
        """CSRO's update order on one batch."""
        z_tasks = self.encoder(self.context).tanh().mean(1)
        z = torch.cat([z_tasks[t].repeat(ROWS, 1) for t in range(TASKS)]).detach()
        with torch.no_grad():
            rows = self.encoder(self.context).tanh()
        mean, variance = self.moments()
        self.descend(10 * ((rows - mean).square() / (2 * variance) + 0.5 * variance.log()).mean(), self.club)
        with torch.no_grad():
            mean, variance = self.moments()
        rows = self.encoder(self.context).tanh()
        self.descend(25 * club_grid(rows, mean, variance) + 10 * metric_loop(rows.mean(1)), self.encoder)
        with torch.no_grad():
            target = 100 * self.reward + 0.9 * self.v_target(torch.cat((self.next_obs, z), -1))
        pair = torch.cat((self.obs, self.action, z), -1)
        loss = (self.q1(pair) - target).square().mean() + (self.q2(pair) - target).square().mean()
        self.descend(loss, self.q1, self.q2)
        action, log_prob, regulariser = self.sample(z)
        pair = torch.cat((self.obs, action, z), -1)
        q = torch.minimum(self.q1(pair), self.q2(pair))
        v = self.v(torch.cat((self.obs, z), -1))
        self.descend((v - (q - log_prob).detach()).square().mean(), self.v)
        with torch.no_grad():
            for slow, fast in zip(self.v_target.parameters(), self.v.parameters(), strict=True):
                slow.mul_(0.995).add_(0.005 * fast)
        self.descend((log_prob - q).mean() + regulariser, self.policy)
