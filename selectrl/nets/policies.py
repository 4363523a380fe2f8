"""Policies conditioned on the task variable."""

from __future__ import annotations

from torch import Tensor, nn

from selectrl.errors import CompositionError
from selectrl.functional.distributions import tanh_gaussian, tanh_gaussian_log_prob
from selectrl.nets.configs import DeterministicConfig, TanhGaussianConfig
from selectrl.nets.mlp import MLP
from selectrl.registry import tag
from selectrl.structs import Sample, Spec

HEAD = 1e-3  # bound of the last layer's initialisation, smaller than that of value networks


class TanhGaussianPolicy(nn.Module):
    """A tanh-squashed diagonal Gaussian whose mean and deviation are two heads of a network."""

    stochastic = True

    def __init__(self, config: TanhGaussianConfig, spec: Spec, latent_dim: int) -> None:
        super().__init__()
        self.config = config
        self.temperature = config.temperature
        self.net = MLP(spec.obs, latent_dim, config.hidden, 2 * spec.action, head=HEAD)

    def heads(self, obs: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return μ and log σ, (…, action) each."""
        mean, raw = self.net(obs, z).chunk(2, dim=-1)
        return mean, raw.clamp(self.config.log_std_min, self.config.log_std_max)

    def sample(self, obs: Tensor, z: Tensor, normal: Tensor) -> Sample:
        """Draw tanh(μ + σ·normal)."""
        mean, log_std = self.heads(obs, z)
        action, log_prob = tanh_gaussian(mean, log_std, normal)
        return Sample(action, log_prob, mean.square().mean(-1) + log_std.square().mean(-1))

    def mode(self, obs: Tensor, z: Tensor) -> Tensor:
        """Return tanh(μ), (…, action)."""
        return self.net(obs, z).chunk(2, dim=-1)[0].tanh()

    def log_prob(self, obs: Tensor, z: Tensor, action: Tensor) -> Tensor:
        """Return the log-density of an action, (…,)."""
        return tanh_gaussian_log_prob(*self.heads(obs, z), action)


class DeterministicPolicy(nn.Module):
    """tanh of a network's output; a sample is the mode."""

    stochastic = False
    temperature = 0.0

    def __init__(self, config: DeterministicConfig, spec: Spec, latent_dim: int) -> None:
        super().__init__()
        self.config = config
        self.net = MLP(spec.obs, latent_dim, config.hidden, spec.action, head=HEAD)

    def sample(self, obs: Tensor, z: Tensor, normal: Tensor) -> Sample:
        """Return the mode, with a log-probability of zero."""
        raw = self.net(obs, z)
        return Sample(raw.tanh(), raw.new_zeros(raw.shape[:-1]), raw.square().mean(-1))

    def mode(self, obs: Tensor, z: Tensor) -> Tensor:
        """Return the action, (…, action)."""
        return self.net(obs, z).tanh()

    def log_prob(self, obs: Tensor, z: Tensor, action: Tensor) -> Tensor:
        """Refuse: a deterministic policy has no density.

        Raises:
            CompositionError: always.
        """
        raise CompositionError(
            f"{tag(self.config)} has no log-probability; declare density=True in the Objective that reads it, and bind "
            "a stochastic policy, for example @policies.tanh_gaussian()"
        )
