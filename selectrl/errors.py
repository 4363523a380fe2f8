"""The tree of errors; every message names the wrong value, the expected one and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SelectRLError(Exception):
    """Root of all errors that this package raises on purpose; at the command line it ends with exit code 1.

    Its sentence is one printable line, even if parts of it come from a damaged or hostile file.
    """

    exit_code = 1

    def __init__(self, sentence: str = "") -> None:
        super().__init__(printable(" ".join(sentence.splitlines())))


class RunError(SelectRLError):
    """The work itself failed, for example a loss that is no longer finite."""


class InputError(SelectRLError):
    """The user's input is wrong; nothing was written. At the command line it ends with exit code 2."""

    exit_code = 2


class UnreadableError(InputError):
    """A file exists, but cannot be read: it is neither missing nor damaged.

    The operating system does not allow it, or another version of this package wrote it.

    A handler must not replace the file, nor repeat the work that the file records.
    """


class RecordError(InputError):
    """A file does not hold a record of its kind: a field is missing, has a wrong value or does not fit the others."""


class FieldError(InputError):
    """A field of a config holds a wrong value.

    Attributes:
        owner: the config class.
        field: the field's name.
        problem: the wrong value and the expected one.
    """

    def __init__(self, owner: type, field: str, problem: str) -> None:
        self.owner, self.field, self.problem = owner, field, problem
        super().__init__(f"{owner.__name__}.{field}: {problem}")


class CompositionError(InputError):
    """The composed parts do not fit together; the sentence names both and the reason."""


class DataError(InputError):
    """A dataset is missing, damaged, of another environment, or holds impossible values."""


class ConformanceError(SelectRLError):
    """A part breaks a rule of its protocol; the sentence names the part, the fault and the remedy."""


class Interrupted(KeyboardInterrupt):
    """A signal stopped this process; as a ``KeyboardInterrupt`` it passes every ``except Exception``.

    Attributes:
        exit_code: 128 plus the signal's number, as schedulers and shells expect.
    """

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(f"stopped by signal {number}")


class SelectRLWarning(UserWarning):
    """Root of all warnings of this package; its sentence is one printable line, which the command line prints once."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(printable(" ".join(sentence.splitlines())))


class DamageWarning(SelectRLWarning):
    """A checkpoint is damaged, and an earlier one replaces it."""


class DriftWarning(SelectRLWarning):
    """The data were collected with another simulator than the installed one, which tests."""


class VersionWarning(SelectRLWarning):
    """A run was trained with another version of this package or of a plugin."""


def printable(text: str) -> str:
    """Return a text with a question mark for each character that is not printable: it could control a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def suggest(word: str, options: Iterable[str]) -> str:
    """Return ``'did you mean …? '`` if an option is close to the word, and the list of all options."""
    choices = sorted(options)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}choose from: {', '.join(choices)}"
