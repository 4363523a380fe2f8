"""Refusals of the engine before the first step, each in one sentence."""

from __future__ import annotations

from collections.abc import Collection

from selectrl.errors import CompositionError
from selectrl.protocols import Phase
from selectrl.trainer.agent import belongs, target_name


def check_phase(phase: Phase, names: Collection[str]) -> None:
    """Refuse a phase that the engine could run only wrongly.

    Args:
        phase: the phase.
        names: dotted names of all parameters and buffers of the agent.

    Raises:
        CompositionError: two objectives move one part of the encoder, whose graph both would need; two move one prefix
            late, where the second would overwrite the first one's gradient; or a track has no copy to move.
    """
    owners: dict[str, str] = {}
    for objective in phase.objectives:
        for prefix, optim in objective.moves.items():
            if not (belongs(prefix, "encoder") or optim.late):
                continue
            for other, owner in owners.items():
                if belongs(prefix, other) or belongs(other, prefix):
                    raise CompositionError(
                        f"objectives {owner} and {objective.name} both move {prefix!r}; merge them into one objective"
                    )
            owners[prefix] = objective.name
    for track in phase.tracks:
        if not any(belongs(name, f"targets.{target_name(track.source)}") for name in names):
            raise CompositionError(
                f"phase {phase.name} tracks {track.source!r}, of which the agent has no copy; "
                "declare the Track in Critic.tracks()"
            )
