"""The execution of a run, which does not belong to its identity. Free of torch."""

from __future__ import annotations

from pathlib import Path

import attrs

from selectrl.fields import MOST, choice, flag, integer

MOST_THREADS = 1024  # more are not faster; far more do not start, and end the process without a message


@attrs.frozen(kw_only=True)
class Execution:
    """The execution of a run.

    Attributes:
        data: folder of datasets.
        threads: threads that torch may use; recorded, because bits depend on it.
        device: device of the training; meta-tests run on the CPU.
        engine: ``eager``, or ``compiled``: each loss compiled, and on CUDA whole steps recorded as graphs.
        population: seeds that train in parallel on CUDA, at most; on the CPU each trains alone, because the products
            of one seed already use all cores.
        tensorboard: also write TensorBoard event files.
        gin: the experiment as gin bindings, written next to its record for people to read and change.
    """

    data: Path = Path("data")
    threads: int = attrs.field(default=1, validator=integer(1, MOST_THREADS))
    device: str = attrs.field(default="cpu", validator=choice("cpu", "cuda"))
    engine: str = attrs.field(default="eager", validator=choice("eager", "compiled"))
    population: int = attrs.field(default=64, validator=integer(1, MOST))
    tensorboard: bool = attrs.field(default=False, validator=flag())
    gin: str = ""

    @property
    def seeds_per_process(self) -> int:
        """The number of seeds that one process trains at the same time, at most."""
        return self.population if self.device == "cuda" else 1

    @property
    def processes(self) -> int | None:
        """The default number of parallel processes: one per GPU; ``None`` on the CPU, for one per core."""
        return 1 if self.device == "cuda" else None
