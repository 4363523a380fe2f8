"""Which tasks of a family are held out."""

from __future__ import annotations

STRIDE = 4


def interleaved(tasks: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split tasks so that every test task lies strictly between two training tasks.

    Every fourth task is a test task, starting with the third: of 40 tasks these are {2, 6, …, 38}, which is the 30/10
    split of CSRO. Families number their tasks along their parameter, so testing is interpolation.

    Args:
        tasks: how many there are.

    Returns:
        The ids of the training tasks and those of the test tasks, both ascending.

    References:
        Gao et al., "Context Shift Reduction for Offline Meta-Reinforcement Learning", NeurIPS 2023.
    """
    test = tuple(range(STRIDE // 2, tasks, STRIDE))
    return tuple(task for task in range(tasks) if task not in test), test
