"""Damages one file after the other and notes what became of it."""

from __future__ import annotations

import shutil
import stat
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

from fuzz.guard import Hang, Tripwire, Violation, watched
from fuzz.hostile import lay_baits
from fuzz.mutate import damaged
from fuzz.targets import TARGETS
from selectrl.errors import SelectRLError, SelectRLWarning

LONGEST = 20.0  # seconds of a case; a busy machine is slow


def must_be_a_sentence(message: Warning | str, *_: object, **__: object) -> None:
    """Refuse a warning that is not one printable line."""
    if not str(message).isprintable():
        raise AssertionError(f"a warning of not one printable line: {str(message)!r:.300}")


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
        self.bait = root / "bait"
        lay_baits(self.bait)
        self.target.write(self.folder)
        self.victims = sorted({path for pattern in self.target.victims for path in self.folder.glob(pattern)})
        self.target.read(self.folder, self.out)  # sound files are read, and what is imported late is there from now on
        shutil.rmtree(self.out, ignore_errors=True)
        self._sound = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        self._wire = Tripwire(self.bait)

    def close(self) -> None:
        """Stop watching the baits."""
        self._wire.close()

    def _restore(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        for path in list(self.folder.rglob("*")):
            mode = path.lstat().st_mode
            if not (stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and path in self._sound)):
                path.unlink()  # also a pipe, which must not be opened, and a link, through which must not be written
        for path, content in self._sound.items():
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        for path in self.bait.glob("moved-*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def case(self, seed: int) -> str | Fault:
        """Damage one file and read it; returns ``read``, ``refused``, or the fault."""
        rng = Random(f"{self.name} {seed}")
        victim = rng.choice(self.victims)
        if self.target.damage:
            self.target.damage(victim, self.bait, rng)
        else:
            victim.write_bytes(damaged(self._sound[victim], victim.suffix, rng))
        if rng.random() < 0.5 and not self.target.damage:
            self.target.mend(victim)
        self._wire.sprung()
        try:
            with warnings.catch_warnings(), watched(self.folder, self.out, seconds=LONGEST):
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", ResourceWarning)  # of matplotlib's fonts
                warnings.simplefilter("always", SelectRLWarning)
                warnings.showwarning = must_be_a_sentence
                self.target.read(self.folder, self.out)
            outcome: str | Fault = "read" if not self.target.never else self._fault(seed, victim, "it was read")
        except SelectRLError as error:
            sentence = str(error)
            outcome = "refused"
            if "\n" in sentence or not sentence.isprintable():
                outcome = self._fault(seed, victim, f"not one printable line: {sentence!r:.300}")
        except (Exception, Violation, Hang):
            outcome = self._fault(seed, victim, traceback.format_exc(limit=-6))
        if self._wire.sprung():
            outcome = self._fault(seed, victim, "a file elsewhere was opened")
        around = {*self.root.iterdir(), *self.folder.parent.iterdir()}  # what no audit event tells: HDF5 writes in C
        if strangers := around - {self.folder.parent, self.folder, self.out, self.bait}:
            outcome = self._fault(seed, victim, f"written outside: {strangers}")
        self._restore()
        return outcome

    def _fault(self, seed: int, victim: Path, what: str) -> Fault:
        return Fault(self.name, seed, str(victim.relative_to(self.folder)), what)


def run(target: str, seeds: Iterable[int]) -> tuple[Counter[str], list[Fault]]:
    """Run the cases of some seeds; returns how many were read and refused, and the faults."""
    ended: Counter[str] = Counter()
    faults: list[Fault] = []
    with tempfile.TemporaryDirectory() as root, closing(Campaign(target, Path(root))) as campaign:
        for seed in seeds:
            outcome = campaign.case(seed)
            if isinstance(outcome, Fault):
                faults.append(outcome)
            ended["faults" if isinstance(outcome, Fault) else outcome] += 1
    return ended, faults
