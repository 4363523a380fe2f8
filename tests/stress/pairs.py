"""Gives every ordered pair of commands on one folder, the second while the first is at work.

Each pair starts from the same folder of finished runs and data. However the two meet, neither may end without a
sentence, and no file that was finished before may be lost or differ; then both are given again, one after the other,
and must end with 0 and in the very files that each makes alone. Commands run in forks of this process, which has torch
loaded, but never runs it.

    PYTHONPATH=tests:tests/support python -m stress.pairs --pairs 40
"""

from __future__ import annotations

import argparse
import importlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import NamedTuple

from stress.kill_storm import COLLECT, LOADED, PATIENCE, command, ended, kill, print_of, sets, start, training

from selectrl.registry import FAMILIES

MORE = ("selectrl.film.shoot", "selectrl.film.edit", "selectrl.data.minari_files", "optuna", "selectrl.compare.tune")
SIZES = {**training("select"), "STEPS": 60, "train.test_every": 60}
TUNING = ["--trials", "2", *sets({**SIZES, "STEPS": 10, "train.test_every": 10})]
SHIFTING = ("fairness.json", "failures.json", "execution.json")
"""Records that every comparison, or every call, writes as things stand then."""

#: The commands of README's table, a row each. {base} is read only, {world} is the folder that they share, and {turn}
#: makes a new name for what may not be there already when the command is given again.
WORDS: dict[str, list[str]] = {
    "list": ["list", "--json"],
    "collect": ["collect", "--env", "point_robot", "--name", "more", "--threads", "1", "--data", "{world}/data"],
    "train": ["train", "--method", "csro", "--threads", "1"],
    "evaluate": ["evaluate", "{world}/runs/point_robot", "--collector", "online", "--data", "{world}/data"],
    "compare": ["compare", "--methods", "select,csro", "--launcher", "inline", "--threads", "1"],
    "ablate": ["ablate", "--method", "select", "--vary", "actor=weighted_bc,td3_bc", "--launcher", "inline"],
    "tune": ["tune", "--method", "select", "--env", "point_robot", "--data", "{world}/data", "--out", "{world}/tuned"],
    "report": ["report", "{world}/runs", "--out", "{world}/report", "--export", "{world}/export{turn}"],
    "render": ["render", "{world}/runs/point_robot", "--tasks", "2", "--out", "{world}/film.gif"],
    "verify": ["data", "verify", "{world}/data/point_robot/toy"],
    "import": ["data", "import-csro", "{base}/tree", "--env", "point_robot", "--name", "tree{turn}"],
    "export": ["data", "export-minari", "{world}/data/point_robot/toy", "--namespace", "toys/point{turn}"],
    "cite": ["cite", "--method", "select", "--env", "point_robot"],
    "doctor": ["doctor", "--json"],
}
for name in ("train", "compare", "ablate"):
    WORDS[name] += ["--env", "point_robot", "--data", "{world}/data", "--out", "{world}/runs", *sets(SIZES)]
WORDS["collect"] += sets(COLLECT)
WORDS["tune"] += TUNING
WORDS["render"] += ["--threads", "1", "--data", "{world}/data"]
WORDS["import"] += ["--set", "envs.point_robot.tasks=8", "--data", "{world}/data"]
WORDS["export"] += ["--out", "{world}/minari"]
COMMANDS = tuple(WORDS)
PAIRS = tuple(product(COMMANDS, COMMANDS))


class Count(NamedTuple):
    """What came of the pairs.

    Attributes:
        pairs: how many were given.
        refused: commands that ended with a sentence because of the other.
        faults: what should not have been.
    """

    pairs: int
    refused: Counter[str]
    faults: list[str]


class Pairs:
    """A folder to work in, and what each command makes there alone.

    Args:
        base: where to work.
    """

    def __init__(self, base: Path) -> None:
        self.base, self.world, self.before = base, base / "world", base / "before"
        self.alone: dict[str, dict[str, str]] = {}
        self.seconds: dict[str, float] = {}
        for module in (*LOADED, *MORE):
            importlib.import_module(module)
        self._make()
        self.finished = self._prints(self.before)

    def _make(self) -> None:
        """Make the data and runs that every pair begins with."""
        from trees import write_tree

        from selectrl.envs.configs import PointRobotConfig

        write_tree(self.base / "tree", FAMILIES.build(PointRobotConfig(tasks=8)), labels=(2200,), episodes=1)
        data = ["collect", "--env", "point_robot", "--name", "toy", "--threads", 1, *sets(COLLECT)]
        both = ["compare", "--methods", "select,focal", *WORDS["compare"][3:]]
        for words in ([*data, "--data", self.before / "data"], [str(one).format(world=self.before) for one in both]):
            child = start(lambda _, words=words: command(*words), self.before, self.base / "made.txt")
            if ended(child, PATIENCE) != 0:
                sys.exit(f"the folder to begin with could not be made: {(self.base / 'made.txt').read_text()}")

    def _prints(self, folder: Path) -> dict[str, str]:
        """Return digests of what commands made below data, runs and the search; reports tell how things stood."""
        kept = ("data/", "runs/point_robot/", "tuned/point_robot/")
        found = print_of(folder)
        return {name: one for name, one in found.items() if name.startswith(kept) and Path(name).name not in SHIFTING}

    def _begin(self) -> None:
        shutil.rmtree(self.world, ignore_errors=True)
        shutil.copytree(self.before, self.world)

    def _start(self, name: str, turn: int, log: Path) -> int:
        """Start a command; the log holds all that it prints."""
        log.unlink(missing_ok=True)
        words = [word.format(base=self.base, world=self.world, turn=turn) for word in WORDS[name]]
        return start(lambda _: command(*words), self.world, log)

    def _outcome(self, name: str, child: int, log: Path) -> tuple[int | None, str]:
        """Wait for a command; return its code, and what is wrong with its end or nothing."""
        code, text = ended(child, PATIENCE), ""
        if code is None:
            kill(child)
            return None, f"{name} hangs"
        text = log.read_text(errors="replace") if log.exists() else ""
        lines = text.splitlines()
        if "Traceback" in text or "internal error" in text:
            return code, f"{name} ended with {code} and no sentence: {lines[-1]}"
        if code not in (0, 1, 2) or (code and not any(line.startswith("selectrl: ") for line in lines)):
            return code, f"{name} ended with {code}: {' '.join(lines[-1:])}"
        return code, ""

    def learn(self, name: str) -> None:
        """Give a command alone, for its time and for what it makes."""
        if name in self.alone:
            return
        self._begin()
        log, began = self.base / "alone.txt", time.monotonic()
        code, wrong = self._outcome(name, self._start(name, 2, log), log)
        if code != 0:
            sys.exit(f"{name} alone: {wrong or log.read_text()}")
        self.seconds[name] = time.monotonic() - began
        self.alone[name] = self._prints(self.world)

    def give(self, first: str, second: str, share: float) -> tuple[list[str], list[str]]:
        """Give a pair, the second after a share of the first's time; return who was refused, and faults."""
        for name in (first, second):
            self.learn(name)
        self._begin()
        logs = [self.base / "first.txt", self.base / "second.txt"]
        children = [self._start(first, 0, logs[0])]
        time.sleep(share * self.seconds[first])
        children.append(self._start(second, 0, logs[1]))
        refused, faults = [], []
        for name, child, log in zip((first, second), children, logs, strict=True):
            code, wrong = self._outcome(name, child, log)
            faults += [wrong] if wrong else []
            refused += [f"{name}: {log.read_text(errors='replace').splitlines()[-1]}"] if code and not wrong else []
        faults += self._changes(self.finished, "right after the two")
        for turn, name in ((2, first), (2 + (first == second), second)):
            log = self.base / "again.txt"
            code, wrong = self._outcome(name, self._start(name, turn, log), log)
            if code != 0:
                faults.append(f"{name}, given again alone, ended with {code}: {log.read_text().splitlines()[-1:]}")
        for name in (first, second):
            faults += self._changes(self.alone[name], f"after {name} was given again")
        faults += [f"left behind: {path.relative_to(self.world)}" for path in self._leftovers()]
        return refused, faults

    def _changes(self, expected: dict[str, str], when: str) -> list[str]:
        """Return which of the files are lost or differ."""
        found = self._prints(self.world)
        lost = [f"{name} is lost {when}" for name in expected if name not in found]
        return lost + [
            f"{name} differs {when}" for name in expected if found.get(name, expected[name]) != expected[name]
        ]

    def _leftovers(self) -> list[Path]:
        return [
            one for one in self.world.rglob(".*") if one.name.endswith((".tmp", ".making")) or one.name[:4] == ".tmp"
        ]


def sampled(count: int, seed: int) -> list[tuple[str, str]]:
    """Return so many of the pairs; the same seed gives the same."""
    return random.Random(seed).sample(PAIRS, min(count, len(PAIRS)))


def storm(pairs: list[tuple[str, str]], seed: int, base: Path, seconds: float = float("inf")) -> Count:
    """Give the pairs, at offsets that the seed draws, until the time is over."""
    began, rng, done = time.monotonic(), random.Random(seed), 0
    refusals, faults, given = Counter[str](), [], Pairs(base)
    for first, second in pairs:
        if time.monotonic() - began > seconds:
            break
        share = rng.uniform(0, 1)
        refused, wrong = given.give(first, second, share)
        done += 1
        refusals.update(one.partition(":")[0] for one in refused)
        faults += [f"{first} + {second} at {share:.3f}: {one}" for one in wrong]
        if wrong:
            keep = base / f"fault-{first}-{second}"
            shutil.rmtree(keep, ignore_errors=True)
            shutil.copytree(given.world, keep / "world")
            for log in base.glob("*.txt"):
                shutil.copy(log, keep)
        told = "; ".join(wrong or refused) or "both ended with 0"
        print(f"{done}/{len(pairs)} {first} + {second} at {share:.3f}: {told}", file=sys.stderr, flush=True)
    return Count(done, refusals, faults)


def main(words: list[str] | None = None) -> int:
    """Print what came of the pairs; the exit code is 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="a sample of so many; default: all")
    parser.add_argument("--only", default="", help="pairs with this command")
    parser.add_argument("--seed", type=int, default=0, help="of the sample and of the offsets")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no pair later than this")
    parser.add_argument("--folder", type=Path, help="where to work; what a fault left stays there")
    options = parser.parse_args(words)
    base = options.folder or Path(tempfile.mkdtemp(prefix="pairs-"))
    base.mkdir(parents=True, exist_ok=True)
    pairs = [pair for pair in sampled(len(PAIRS), options.seed) if options.only in ("", *pair)][: options.pairs]
    count = storm(pairs, options.seed, base, options.seconds)
    print(f"pairs given: {count.pairs} of {len(PAIRS)}")
    print(f"commands refused with a sentence: {dict(count.refused) or 'none'}")
    print(f"faults: {len(count.faults)}")
    for fault in count.faults:
        print(f"  {fault}")
    if count.faults:
        print(f"what they left is in {base}")
        return 1
    shutil.rmtree(base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
