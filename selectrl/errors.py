"""The one tree of errors; every message says what was got, what was expected and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SelectRLError(Exception):
    """Root of all errors that this package raises on purpose; at the command line it ends with exit code 1.

    Its sentence is one printable line, whatever a damaged or hostile file put into it.
    """

    exit_code = 1

    def __init__(self, sentence: str = "") -> None:
        super().__init__(printable(" ".join(sentence.splitlines())))


class RunError(SelectRLError):
    """The work itself failed, for example a loss that is no longer finite."""


class InputError(SelectRLError):
    """What the user gave is wrong; nothing was written. At the command line it ends with exit code 2."""

    exit_code = 2


class UnreadableError(InputError):
    """A file is there, but cannot be read here: it is neither absent nor damaged.

    The operating system does not allow it, or it is of another version of this package.

    Whoever catches it must not replace the file, nor do again the work that the file records.
    """


class RecordError(InputError):
    """A file holds no record of its kind: a field is missing, has a wrong value or does not fit the others."""


class FieldError(InputError):
    """A field of a config holds a wrong value.

    Attributes:
        owner: the config class.
        field: the field's name.
        problem: what was got and what was expected.
    """

    def __init__(self, owner: type, field: str, problem: str) -> None:
        self.owner, self.field, self.problem = owner, field, problem
        super().__init__(f"{owner.__name__}.{field}: {problem}")


class CompositionError(InputError):
    """Parts that cannot work together were composed; the sentence names the two and the reason."""


class DataError(InputError):
    """A dataset is missing, damaged, of another environment, or holds impossible values."""


class ConformanceError(SelectRLError):
    """A part breaks a rule of its protocol; the sentence names the part, the fault and the remedy."""


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to stop; as a ``KeyboardInterrupt`` no ``except Exception`` takes it for a failure.

    Attributes:
        exit_code: 128 and the signal's number, as schedulers and shells expect.
    """

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(f"stopped by signal {number}")


class SelectRLWarning(UserWarning):
    """Root of what this package warns of; its sentence is one printable line, which the command line prints once."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(printable(" ".join(sentence.splitlines())))


class DamageWarning(SelectRLWarning):
    """A checkpoint is damaged, and an earlier one takes its place."""


class DriftWarning(SelectRLWarning):
    """Data were made with another simulator than the one that tests."""


class VersionWarning(SelectRLWarning):
    """A run was made with another version of this package or of a plugin."""


def printable(text: str) -> str:
    """Return a text with a question mark in place of control characters, which could steer a terminal, and the like."""
    return "".join(character if character.isprintable() else "?" for character in text)


def suggest(word: str, options: Iterable[str]) -> str:
    """Return ``'did you mean …? '`` when one of the options is close to the word, and the whole list after it."""
    known = sorted(options)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}choose from: {', '.join(known)}"
