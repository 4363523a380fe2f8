"""Behaviour data: the episodes of SAC policies, one per task and all trained in lockstep, at every checkpoint.

This room is imported without torch; :func:`selectrl.behaviour.collect.collect` collects a dataset.
"""

from selectrl.behaviour.config import SacBehaviourConfig

__all__ = ["SacBehaviourConfig"]
