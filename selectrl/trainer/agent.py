"""The agent: where the parts of a method meet."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from selectrl.errors import CompositionError
from selectrl.protocols import ActorLoss, ContextEncoder, Critic, Policy, Track

M = TypeVar("M")


class AgentModule(nn.Module):
    """Encoder, critic, policy and actor loss, and the Polyak copies that the critic declares.

    Args:
        encoder: a ContextEncoder.
        critic: a Critic.
        actor: an ActorLoss.
        policy: a Policy.
        tracks: which modules have a target.

    Raises:
        CompositionError: a part is not a torch module, or a track names a module that does not exist.
    """

    encoder: ContextEncoder[Any]
    critic: Critic
    actor: ActorLoss
    policy: Policy

    def __init__(
        self,
        encoder: ContextEncoder[Any],
        critic: Critic,
        actor: ActorLoss,
        policy: Policy,
        tracks: Iterable[Track],
    ) -> None:
        super().__init__()
        self.encoder, self.critic, self.actor, self.policy = encoder, critic, actor, policy
        for name in ("encoder", "critic", "actor", "policy"):
            if name not in self._modules:
                raise CompositionError(
                    f"the {name} is a {type(getattr(self, name)).__name__}, expected a torch.nn.Module; derive its "
                    "class from torch.nn.Module and call super().__init__() first"
                )
        modules = dict(self.named_modules())
        self._target_names = {id(modules[t.source]): target_name(t.source) for t in tracks if t.source in modules}
        for track in tracks:
            if track.source not in modules:
                raise CompositionError(f"a target of {track.source!r} was asked for, but the agent has no such module")
        self.targets = nn.ModuleDict({target_name(t.source): copy.deepcopy(modules[t.source]) for t in tracks})

    def target(self, module: M) -> M:
        """Return the Polyak copy of one of this agent's modules.

        Raises:
            CompositionError: no critic declared a track of it.
        """
        name = self._target_names.get(id(module))
        if name is None:
            raise CompositionError(f"{type(module).__name__} has no target; declare a Track of it in Critic.tracks()")
        return cast(M, self.targets[name])

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over parameters by name.

        Raises:
            CompositionError: names or shapes are of another composition.
        """
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise CompositionError(
                "the checkpoint's parameters are not of this composition; restore it or the record beside it"
            ) from error

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call ``function(agent, *arguments)``, so that a functional call can substitute parameters."""
        return function(self, *arguments)


def target_name(source: str) -> str:
    """Return the name of a source's copy below ``targets``."""
    return source.replace(".", "_")


def belongs(parameter: str, prefix: str) -> bool:
    """Say whether a parameter's dotted name lies below a prefix."""
    return parameter == prefix or parameter.startswith(prefix + ".")
