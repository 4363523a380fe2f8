"""Behaviour data: the episodes of real SAC policies, one per task and all trained together, at every checkpoint.

Importing this room costs no torch; :func:`selectrl.behaviour.collect.collect` does the work.
"""

from selectrl.behaviour.config import SacBehaviourConfig

__all__ = ["SacBehaviourConfig"]
