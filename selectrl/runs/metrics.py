"""The log of a training, a file of JSON lines, and its parser. Free of torch and NumPy."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self, TypeAlias

import attrs

from selectrl.errors import RecordError
from selectrl.files import flush_names, is_there, read_bytes, read_error, write_error
from selectrl.holding import require_held
from selectrl.json_text import parse_json
from selectrl.runs.layout import METRICS
from selectrl.runs.reading import FileRecord, JsonObject, json_key


@attrs.frozen(kw_only=True)
class LossLine(FileRecord):
    """Losses at a training step.

    Attributes:
        kind: ``train``.
        phase: name of the phase.
        step: steps of the phase.
        phase_steps: steps of the whole phase.
        steps_per_second: speed since the line before.
        values: logged values of the losses, by name.
    """

    kind: str = "train"
    phase: str
    step: int
    phase_steps: int
    steps_per_second: float
    values: Mapping[str, float]


@attrs.frozen(kw_only=True)
class TestLine(FileRecord):
    """A meta-test during training, which is a point of the learning curve.

    Attributes:
        kind: ``test``.
        step: steps of the rl phase.
        collector: registered name of the collector.
        final_return: mean return of the last scored episodes.
        context_free: mean return before any context.
        context_steps: environment steps of context before each scored episode.
        curve: mean return at each of these points.
    """

    __test__ = False  # keeps pytest from collecting it

    kind: str = "test"
    step: int
    collector: str
    final_return: float = attrs.field(metadata=json_key("return"))
    context_free: float
    context_steps: tuple[int, ...]
    curve: tuple[float, ...]


Line: TypeAlias = LossLine | TestLine
LINE_TYPES: dict[str, type[LossLine] | type[TestLine]] = {"train": LossLine, "test": TestLine}


class MetricsLog(NamedTuple):
    """The lines of a log.

    Attributes:
        lines: the sound lines with their numbers, from 1.
        damaged: the numbers of the others; a killed writer leaves half a line at the end.
        size: bytes that were read, to the end of the last complete line.
    """

    lines: tuple[tuple[int, Line], ...]
    damaged: tuple[int, ...]
    size: int


def parse_line(text: str) -> Line:
    """Read a line from its JSON text.

    Raises:
        RecordError: the text is not such a line; the sentence begins with the field.
    """
    try:
        value = parse_json(text)
    except ValueError as error:
        raise RecordError(f"it is not valid JSON ({error})") from error
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in LINE_TYPES:
        raise RecordError(f"kind: expected one of {', '.join(LINE_TYPES)}, got {kind!r:.80}")
    return LINE_TYPES[kind].from_json(value)


@attrs.frozen
class Metrics:
    """The log of a run.

    Attributes:
        path: its file.
    """

    path: Path

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Return the log of a run directory."""
        return cls(folder / METRICS)

    def read(self, start: int = 0) -> MetricsLog:
        """Read the log; there are no lines if the file is missing.

        Args:
            start: bytes to skip, :attr:`MetricsLog.size` of an earlier call; numbers of lines count from there.

        Raises:
            UnreadableError: the file exists, but cannot be read.
        """
        content = read_bytes(self.path) if is_there(self.path) else b""
        start = min(start, len(content))  # a run that continues from a checkpoint deletes later lines
        content = content[start:]
        lines: list[tuple[int, Line]] = []
        damaged: list[int] = []
        for number, text in enumerate(content.decode(errors="replace").splitlines(), 1):
            try:
                lines.append((number, parse_line(text)))
            except RecordError:
                damaged.append(number)
        return MetricsLog(tuple(lines), tuple(damaged), start + content.rfind(b"\n") + 1)

    def write(self, line: Line) -> JsonObject:
        """Append a line and return its JSON values.

        Raises:
            InputError: the file cannot be written to, the disk is full, or the run's folder was renamed or removed.
        """
        record = line.to_json()
        try:
            require_held(self.path)
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(record, allow_nan=False) + "\n")
        except OSError as error:
            raise write_error(self.path, error) from error
        return record

    def size(self) -> int:
        """Return the file's size in bytes, 0 if it is missing.

        Raises:
            UnreadableError: the operating system does not report it.
        """
        try:
            return self.path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return 0
        except OSError as error:
            raise read_error(self.path, error) from error

    def flush(self) -> int:
        """Flush the content and the name of the file to the disk, and return the size that is safe from power cuts.

        Raises:
            InputError: the disk cannot be written to.
        """
        size = self.size()
        try:
            if size:
                with self.path.open("rb") as handle:
                    os.fsync(handle.fileno())
                flush_names(self.path.parent)
        except OSError as error:
            raise write_error(self.path, error) from error
        return size

    def cut(self, size: int) -> None:
        """Truncate the file to ``size`` bytes.

        Raises:
            InputError: the file cannot be written to.
        """
        try:
            with self.path.open("ab") as handle:
                handle.truncate(size)
        except OSError as error:
            raise write_error(self.path, error) from error
