"""Numbers and lists as text, the same way in every figure, table and sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from selectrl.report.analysis.estimate import Interval

MINUS, NONE = "−", "–"


def number(value: float | None, digits: int, *, sign: bool = False) -> str:
    """Return a number with a true minus sign, or a dash where there is none; ``sign`` shows a plus too."""
    if value is None:
        return NONE
    shown = f"{value:{'+' if sign else ''},.{digits}f}".replace("-", MINUS)
    zero = f"{0:.{digits}f}"
    return zero if shown.lstrip(f"+{MINUS}") == zero else shown


def interval(ends: Interval, digits: int, *, sign: bool = False) -> str:
    """Return ``low to high``, or a dash."""
    return NONE if ends is None else " to ".join(number(end, digits, sign=sign) for end in ends)


def digits_for(values: Iterable[float]) -> int:
    """Return how many decimals show about three significant digits of the largest value."""
    largest = max((abs(value) for value in values), default=0.0)
    return 2 if largest < 100 else 1 if largest < 1000 else 0


def join(words: Sequence[str], last: str = "and") -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def count(n: int, word: str) -> str:
    """Return ``1 seed`` or ``3 seeds``."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def clock(seconds: float | None) -> str:
    """Return seconds as ``42 s``, ``3 min 20 s`` or ``2 h 05 min``."""
    if seconds is None:
        return NONE
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def short(fingerprint: object) -> str:
    """Return the head of a fingerprint, enough to tell two apart."""
    return str(fingerprint)[:12]


def distinct(values: Iterable[str]) -> str:
    """Return each value once, with a stroke between."""
    return " / ".join(dict.fromkeys(values))
