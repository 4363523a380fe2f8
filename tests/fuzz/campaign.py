"""Damages one file after the other and notes what became of it."""

from __future__ import annotations

import shutil
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import NamedTuple

from fuzz.guard import Hang, Violation, watched
from fuzz.mutate import damaged
from fuzz.targets import TARGETS
from selectrl.errors import SelectRLError

LONGEST = 20.0  # seconds of a case; a busy machine is slow


class Fault(NamedTuple):
    """A case that must not be.

    Attributes:
        target: the kind of file.
        seed: of the damage; the same seed does the same damage.
        file: which was damaged.
        what: how it ended.
    """

    target: str
    seed: int
    file: str
    what: str


class Campaign:
    """Sound files of one kind in a cage of folders, of which one file at a time is damaged."""

    def __init__(self, target: str, root: Path) -> None:
        self.name, self.target = target, TARGETS[target]
        self.root, self.folder, self.out = root, root / "cage" / "given", root / "cage" / "out"
        self.target.write(self.folder)
        self.victims = sorted({path for pattern in self.target.victims for path in self.folder.glob(pattern)})
        self.target.read(self.folder, self.out)  # sound files are read, and what is imported late is there from now on
        shutil.rmtree(self.out, ignore_errors=True)
        self._sound = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    def _restore(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        for path in self.folder.rglob("*"):
            if path.is_file() and path not in self._sound:
                path.unlink()
        for path, content in self._sound.items():
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    def case(self, seed: int) -> str | Fault:
        """Damage one file and read it; returns ``read``, ``refused``, or the fault."""
        rng = Random(f"{self.name} {seed}")
        victim = rng.choice(self.victims)
        content = self._sound[victim]
        victim.write_bytes(damaged(content, victim.suffix, rng))
        if rng.random() < 0.5:
            self.target.mend(victim)
        try:
            with warnings.catch_warnings(), watched(self.folder, self.out, seconds=LONGEST):
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", ResourceWarning)  # of matplotlib's fonts
                self.target.read(self.folder, self.out)
            outcome: str | Fault = "read"
        except SelectRLError as error:
            sentence = str(error)
            outcome = "refused"
            if "\n" in sentence or not sentence.isprintable():
                outcome = self._fault(seed, victim, f"not one printable line: {sentence!r:.300}")
        except (Exception, Violation, Hang):
            outcome = self._fault(seed, victim, traceback.format_exc(limit=-6))
        around = {*self.root.iterdir(), *self.folder.parent.iterdir()}  # what no audit event tells: HDF5 writes in C
        if strangers := around - {self.folder.parent, self.folder, self.out}:
            outcome = self._fault(seed, victim, f"written outside: {strangers}")
        self._restore()
        return outcome

    def _fault(self, seed: int, victim: Path, what: str) -> Fault:
        return Fault(self.name, seed, str(victim.relative_to(self.folder)), what)


def run(target: str, seeds: Iterable[int]) -> tuple[Counter[str], list[Fault]]:
    """Run the cases of some seeds; returns how many were read and refused, and the faults."""
    ended: Counter[str] = Counter()
    faults: list[Fault] = []
    with tempfile.TemporaryDirectory() as root:
        campaign = Campaign(target, Path(root))
        for seed in seeds:
            outcome = campaign.case(seed)
            if isinstance(outcome, Fault):
                faults.append(outcome)
            ended["faults" if isinstance(outcome, Fault) else outcome] += 1
    return ended, faults
