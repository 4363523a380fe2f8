"""The minimum memory of a training step: batches that cannot fit are refused before the training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from selectrl.errors import InputError
from selectrl.structs import Spec
from selectrl.trainer.agent import AgentModule, belongs
from selectrl.trainer.config import TrainConfig

NUMBER = 4  # bytes of a float32
INDEX = 16  # bytes of a row's random number and index
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def available_memory() -> float:
    """Return the bytes of memory that this process may still use; infinity where the system does not report them."""
    limits = [float("inf")]
    with suppress(OSError):
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        limits += [1024 * float(kilobytes) for kilobytes in re.findall(r"^MemAvailable:\s*(\d+) kB", text, re.M)]
    for limit in LIMITS:
        with suppress(OSError, ValueError):  # "max"
            limits.append(float(Path(limit).read_text(encoding="ascii")))
    return min(limits)


def minimum_bytes(train: TrainConfig, spec: Spec, agent: AgentModule) -> dict[str, int]:
    """Return the minimum bytes of one step for the rows of each batch size, by the size's binding.

    Rows of ``train.batch`` also pass the policy, whose outputs of each layer the backward pass needs. Other
    memory, such as that of critics, depends on the method and is not counted.
    """
    row = NUMBER * (2 * spec.obs + spec.action + 2) + INDEX
    outputs = sum(
        value.shape[0] for name, value in agent.named_parameters() if belongs(name, "policy") and value.ndim == 2
    )
    number = NUMBER // 2 if train.precision == "bf16" else NUMBER
    return {
        "train.batch": train.meta_batch * train.batch * (row + number * outputs),
        "train.context": train.meta_batch * train.context * row,
    }


def require_memory(train: TrainConfig, spec: Spec, agents: Sequence[AgentModule], device: str = "cpu") -> None:
    """Refuse batches that this machine cannot hold; on CUDA only a step can show it.

    Args:
        train: batch sizes.
        spec: shapes of the family.
        agents: the seeds that train in parallel.
        device: device of the training.

    Raises:
        InputError: a batch is too large; the sentence names its binding.
    """
    free = available_memory()
    for binding, count in minimum_bytes(train, spec, agents[0]).items() if device == "cpu" else ():
        if (needed := len(agents) * count) > free:
            size = getattr(train, binding.partition(".")[2])
            raise InputError(
                f"{binding} = {size}: a step on {train.meta_batch} tasks needs more than {needed / 2**30:.1f} GiB of "
                f"memory, {free / 2**30:.1f} GiB are available; bind a smaller {binding} or train.meta_batch"
            )
