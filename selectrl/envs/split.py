"""The split of a family's tasks into training and test tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selectrl.errors import InputError

if TYPE_CHECKING:
    from selectrl.protocols import TaskFamily

STRIDE = 4


def interleave_tasks(tasks: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split tasks so that every test task is strictly between two training tasks.

    Every fourth task is a test task, starting with the third: of 40 tasks these are {2, 6, …, 38}, which is the 30/10
    split of CSRO. Families number their tasks along their parameter, so a test is an interpolation.

    Args:
        tasks: number of tasks.

    Returns:
        The ids of the training tasks and those of the test tasks, both ascending.

    References:
        Gao et al., "Context Shift Reduction for Offline Meta-Reinforcement Learning", NeurIPS 2023.
    """
    test = tuple(range(STRIDE // 2, tasks, STRIDE))
    return tuple(task for task in range(tasks) if task not in test), test


def split_tasks(family: TaskFamily, split: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the training tasks and the test tasks of a split.

    Args:
        family: the task family.
        split: ``family``, its own tasks; or ``tuning``, where every fourth training task, strictly between others,
            is held out and replaces the test tasks, which are not read.

    Raises:
        InputError: there are too few training tasks to hold one out.
    """
    if split == "family":
        return family.train_tasks, family.test_tasks
    train, test = (tuple(family.train_tasks[i] for i in part) for part in interleave_tasks(len(family.train_tasks)))
    if not test or not train:
        raise InputError(
            f"data.split='tuning' holds out every fourth training task, but there are only {len(family.train_tasks)}; "
            "bind more tasks"
        )
    return train, test
