"""The record of a comparison's fairness, in a folder above its runs. Free of torch and NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from selectrl.files import is_there
from selectrl.runs.layout import FAIRNESS
from selectrl.runs.reading import Bindings, FileRecord


@attrs.frozen(kw_only=True)
class FairnessCheck(FileRecord):
    """One condition of a fair comparison.

    Attributes:
        what: the condition.
        ok: whether it holds.
        detail: the result.
    """

    what: str
    ok: bool
    detail: str


@attrs.frozen(kw_only=True)
class FairnessDifference(FileRecord):
    """A binding or fact that the rows do not share.

    Attributes:
        what: its path.
        values: by row; a row without such a binding is absent.
    """

    what: str
    values: Bindings


@attrs.frozen(kw_only=True)
class ComparedRow(FileRecord):
    """A row, as a test of a trained policy.

    Attributes:
        policy: name of the policy's folder.
        collector: record of the collector's config.
        test: record of the test's config.
    """

    policy: str
    collector: Bindings
    test: Bindings


@attrs.frozen(kw_only=True)
class FairnessRecord(FileRecord):
    """The fairness of a comparison on one environment.

    Attributes:
        same: bindings and facts that all rows share.
        differs: those that they do not share.
        checks: the conditions.
        rows: the rows by name; empty in records of earlier versions.
    """

    same: Bindings
    differs: tuple[FairnessDifference, ...]
    checks: tuple[FairnessCheck, ...]
    rows: Mapping[str, ComparedRow] = attrs.field(factory=dict)

    def write(self, folder: Path) -> None:
        """Write the record to the folder of an environment's runs."""
        self.write_file(folder / FAIRNESS, seal=False)


def fairness_file(folder: Path) -> Path | None:
    """Return the record's file next to a run or to the folder of its seeds, None if there is none."""
    above = folder.resolve().parents[:2]
    return next((place / FAIRNESS for place in above if is_there(place / FAIRNESS)), None)
