"""Disturbs commands at random moments, gives them again until they end, and compares with commands left in peace.

Each life of a command is disturbed a few times and then left to end. Most disturbances are signal 9, workers and all;
one in three is a disk that from a random moment on fails or is full for what is read, flushed or renamed below the
folder of the results. Other programs' files of confusable names lie in that folder, and each life has an umask of its
own. Lost is a life that does not end with exit code 0, whose error was no single sentence, that lost a file of another
program, or that left a file whose mode the umask did not ask for; wrong is one whose results differ by a bit from the
undisturbed one's. Commands run in forks of this process, so that kills hit the work and not the start-up; it has torch
loaded, but never runs it, for torch's threads do not survive a fork.

    python tests/stress/kill_storm.py --kills 200
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

SHIPPED = sorted(path.stem for path in (Path(__file__).parents[2] / "gin" / "methods").glob("*.gin"))
METHODS = [name for name in SHIPPED if not name.endswith("_reference")]  # those differ in sizes alone
LOADED = ("selectrl.cli.app", "selectrl.experiment.training", "selectrl.behaviour.collect", "selectrl.report.build")
LOADED += ("torch.func", "torch._dynamo")  # what an optimiser's first step loads
PATIENCE = 90.0  # seconds that a life may take before it counts as lost
CLOCKS = ("steps_per_second", "wall_seconds", "peak_rss_mib", "run", "command", "folder", "created", "seal")
"""What no two executions share: times and paths, and checksums of records that hold such."""

COLLECT = {
    **{"envs.point_robot.tasks": 8, "behaviour.sac.steps": 200, "behaviour.sac.warmup": 40, "behaviour.sac.period": 60},
    **{"behaviour.sac.first_label": 60, "behaviour.sac.last_label": 180, "behaviour.sac.keep_warmup": 2},
    **{"behaviour.sac.hidden": (8, 8), "behaviour.sac.batch": 8, "behaviour.sac.episodes": 3},
}
TRAIN = {
    **{"envs.point_robot.tasks": 8, "STEPS": 40, "DATASET": "'toy'", "BUDGET": 20, "REPEATS": 2},
    **{"train.checkpoint_every": 5, "train.log_every": 1, "train.test_every": 20},
    **{"META_BATCH": 4, "BATCH": 6, "CONTEXT": 5},
}
OWN = {
    "corro": {"PRETRAIN_STEPS": 10, "negatives.cvae.min_kl": 0.0, "encoders.corro.min_spread": 0.0},
    "borel": {"PRETRAIN_STEPS": 10, "BELIEF_EPISODES": 2},
}


def training(method: str) -> dict[str, Any]:
    """Return the bindings of a method's training."""
    return TRAIN | OWN.get(method.partition("_")[0], {"LATENT_DIM": 3, "ENCODER_HIDDEN": (9, 8)})


class Scenario(NamedTuple):
    """Work that a kill may hit.

    Attributes:
        name: what the table calls it.
        work: (folder of its results) -> exit code.
    """

    name: str
    work: Callable[[Path], int]


class Count(NamedTuple):
    """What came of a scenario."""

    lives: int = 0
    kills: int = 0
    faults: int = 0
    lost: int = 0
    wrong: int = 0


def command(*words: object) -> int:
    """Run one command line of selectrl in this process."""
    from selectrl.cli.app import run

    return run([str(word) for word in words])


def sets(values: dict[str, Any]) -> list[str]:
    """Return bindings as words of a command line."""
    return [word for path, value in values.items() for word in ("--set", f"{path}={value}")]


def scenarios(base: Path) -> Iterator[Scenario]:
    """Go through all scenarios; what they read lies in ``base``."""
    env = ["--env", "point_robot", "--threads", 1, "--data", base / "data"]

    def training_of(method: str) -> Callable[[Path], int]:
        words = ["train", "--method", method, *env, *sets(training(method)), "--name", method]
        return lambda out: command(*words, "--out", out)

    for method in METHODS:
        yield Scenario(f"train {method}", training_of(method))
    seeds = ["--seeds", 2, "--jobs", 2, "--name", "select"]
    words = ["train", "--method", "select", *env, *sets(training("select")), *seeds]
    yield Scenario("train side by side", lambda out, words=words: command(*words, "--out", out))
    words = ["collect", "--env", "point_robot", "--preset", "laptop", "--name", "toy", "--threads", 1, *sets(COLLECT)]
    for method in ("select", "borel"):
        yield Scenario(f"population {method}", lambda out, method=method: population(method, base / "data", out))
    yield Scenario("collect", lambda out: command(*words, "--data", out))
    both = ["compare", "--methods", "select,focal", *env, *sets(training("select")), "--retry-failed"]
    for launcher in ("inline", "local"):
        yield Scenario(f"compare {launcher}", lambda out, how=launcher: command(*both, "--launcher", how, "--out", out))
    yield Scenario("report", lambda out: command("report", base / "runs" / "point_robot", "--out", out / "report"))


def population(method: str, data: Path, out: Path) -> int:
    """Train three seeds side by side, as CUDA would; returns the exit code that a command would have."""
    from selectrl.errors import SelectRLError
    from selectrl.experiment.execution import Execution
    from selectrl.experiment.run import Run
    from selectrl.experiment.training import group_populations, train_population
    from selectrl.gin_edge import build_experiment, experiment_layers

    settings = [f"{path}={value}" for path, value in training(method).items()]
    experiment = build_experiment(experiment_layers(method=method, env="point_robot", settings=settings), method)
    try:
        for group in group_populations(
            [Run(out / str(seed), experiment, seed, Execution(data=data)) for seed in range(3)]
        ):
            train_population(group, lambda run, record: None)
    except SelectRLError as error:
        print(f"selectrl: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def collect(base: Path) -> int:
    """Make the data that trainings read."""
    words = ["--env", "point_robot", "--name", "toy", "--threads", 1, *sets(COLLECT)]
    return command("collect", *words, "--data", base / "data")


def train(base: Path) -> int:
    """Make the runs that a report reads."""
    words = ["compare", "--methods", "select,focal", "--env", "point_robot", "--launcher", "inline", "--threads", 1]
    return command(*words, *sets(training("select")), "--data", base / "data", "--out", base / "runs")


FAULTS = (errno.EIO, errno.ENOSPC)
UMASKS = (0o002, 0o022, 0o027, 0o077)
FOREIGN = (".syncthing.experiment.json.tmp", ".metrics.jsonl.swp", ".selectrl-notes.tmp")
"""Files of other programs, which no sweep may take."""


def break_disk(fault: int, folder: Path, seconds: float) -> None:
    """Let calls for files below a folder fail in this process, from some seconds on."""
    broken = threading.Event()
    threading.Thread(target=lambda: (time.sleep(seconds), broken.set()), daemon=True).start()

    def failing(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(target: Any, *words: Any, **more: Any) -> Any:
            if broken.is_set():
                path = Path(f"/proc/self/fd/{target}").readlink() if isinstance(target, int) else os.fspath(target)
                if str(path).startswith(f"{folder}{os.sep}"):
                    raise OSError(fault, os.strerror(fault), str(path))
            return call(target, *words, **more)

        return called

    for name in ("open", "fsync", "replace", "rename"):
        setattr(os, name, failing(getattr(os, name)))


def misplaced(out: Path, umask: int) -> list[str]:
    """Return what is not as it should be beside the results: foreign files that are gone, and modes."""
    gone = [f"{name} is gone" for name in FOREIGN if not (out / name).exists()]
    modes = []
    for path in out.rglob("*"):
        if path.name not in FOREIGN:
            expected = (0o777 if path.is_dir() else 0o666) & ~umask
            if stat.S_IMODE(path.lstat().st_mode) != expected:
                modes.append(f"{path} has mode {stat.S_IMODE(path.lstat().st_mode):o}, not {expected:o}")
    return gone + modes


def start(work: Callable[[Path], int], out: Path, log: Path, umask: int = 0o022, prepare: Any = None) -> int:
    """Do a scenario's work in a fork, the leader of a process group of its own; returns the fork's id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.umask(umask)
        if prepare is not None:
            prepare()
        code = work(out)
    finally:
        sys.stdout.flush()
        os._exit(code)


def ended(child: int, seconds: float) -> int | None:
    """Wait for a fork at most so long; returns its exit code (negative: the signal), or None if it is still at work."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def kill(child: int) -> None:
    """Kill a fork and all that it started."""
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


def print_of(folder: Path) -> dict[str, str]:
    """Return a digest of every result below a folder, with what clocks and paths make left out.

    Of checkpoints the newest counts, and of it the tensors: an undisturbed run and one that was killed may keep
    different ones before it. A binary file counts with its tensors, text line by line.
    """
    from safetensors.numpy import load_file

    found: dict[str, str] = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file() and one.name[0] != "."):
        name = str(path.relative_to(folder))
        if path.suffix == ".safetensors":
            if path.name.startswith("checkpoint-") and path != max(path.parent.glob("checkpoint-*")):
                continue
            tensors = load_file(path)
            content = b"".join(key.encode() + tensors[key].tobytes() for key in sorted(tensors))
        elif path.suffix in (".json", ".jsonl"):
            lines = [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines()
            content = json.dumps([timeless(json.loads(line)) for line in lines]).encode()
        elif path.suffix in (".csv", ".gin", ".tex", ".md") and not path.stem.endswith("_cost"):
            content = path.read_bytes().replace(os.fsencode(folder), b"")
        else:
            content = b""  # its presence: figures and pages hold dates, tables of cost seconds
        found[name] = hashlib.sha256(content).hexdigest()
    return found


def timeless(value: Any) -> Any:
    """Return JSON without what no two executions share."""
    if isinstance(value, dict):
        return {key: timeless(one) for key, one in value.items() if key not in CLOCKS}
    return [timeless(one) for one in value] if isinstance(value, list) else value


def undisturbed(work: Callable[[Path], int], out: Path, base: Path) -> float:
    """Do work to its end, and return the seconds that it takes."""
    began, log = time.monotonic(), base / "undisturbed.txt"
    code = ended(start(work, out, log), PATIENCE)
    if code != 0:
        sys.exit(f"undisturbed work ended with {code}: {log.read_text()}")
    return time.monotonic() - began


def disturb(
    scenario: Scenario, whole: dict[str, str], span: float, rng: random.Random, kills: int, base: Path
) -> Count:
    """Live one life: disturb it up to so many times, let it end, and compare; undisturbed it takes ``span``."""
    out, log = base / "storm", base / "log.txt"
    shutil.rmtree(out, ignore_errors=True)
    log.unlink(missing_ok=True)
    umask = rng.choice(UMASKS)
    out.mkdir()
    out.chmod(0o777 & ~umask)
    for name in FOREIGN:
        (out / name).write_text("of another program")
    hit, faults, code = 0, 0, None
    while code != 0 and hit + faults <= kills:
        last, moment = hit + faults == kills, rng.uniform(0.0, 0.8 * span)
        fault = None if last or rng.random() > 1 / 3 else rng.choice(FAULTS)
        prepare = None if fault is None else (lambda fault=fault, moment=moment: break_disk(fault, out, moment))
        child = start(scenario.work, out, log, umask, prepare)
        code = ended(child, PATIENCE if last or fault else moment)
        if code is None:
            kill(child)
            hit += 1
        elif fault and code in (1, 2):
            faults += 1
        elif code != 0:
            break
    text = log.read_text()
    notes = misplaced(out, umask)
    log.write_text(text + "".join(f"{note}\n" for note in notes))
    lost = code != 0 or "Traceback" in text or "internal error" in text or bool(notes)
    wrong = not lost and print_of(out) != whole
    if lost or wrong:
        keep = base / f"{'lost' if lost else 'wrong'}-{scenario.name.replace(' ', '_')}"
        shutil.rmtree(keep, ignore_errors=True)
        shutil.copytree(out, keep)
        shutil.copy(log, keep / "log.txt")
    return Count(lives=1, kills=min(hit, kills), faults=faults, lost=int(lost), wrong=int(wrong))


def storm(kills: int, only: str, seed: int, base: Path, each: int = 4) -> dict[str, Count]:
    """Kill until so many kills have hit, in turn over the scenarios whose name holds a word; returns counts by name."""
    for module in LOADED:
        importlib.import_module(module)
    undisturbed(collect, base, base)
    rng = random.Random(seed)
    todo, counts, wholes, spans = [], {}, {}, {}
    for scenario in scenarios(base):
        if only in scenario.name:
            if scenario.name == "report":
                undisturbed(train, base, base)
            todo.append(scenario)
            out = base / f"whole-{scenario.name.replace(' ', '_')}"
            spans[scenario.name] = undisturbed(scenario.work, out, base)
            wholes[scenario.name], counts[scenario.name] = print_of(out), Count()
    while sum(one.kills + one.faults for one in counts.values()) < kills:
        for scenario in todo:
            left = kills - sum(one.kills + one.faults for one in counts.values())
            if left <= 0:
                break
            name = scenario.name
            got = disturb(scenario, wholes[name], spans[name], rng, min(each, left), base)
            counts[name] = Count(*(a + b for a, b in zip(counts[name], got, strict=True)))
            print(f"{name}: {counts[name]}", file=sys.stderr, flush=True)
    return counts


def main() -> int:
    """Print a table of counts; the exit code is 1 where anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="disturbances that hit, in all")
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, help="where to work; what was lost or wrong stays there")
    options = parser.parse_args()
    base = options.folder or Path(tempfile.mkdtemp(prefix="storm-"))
    base.mkdir(parents=True, exist_ok=True)
    counts = storm(options.kills, options.only, options.seed, base)
    total = Count(*(sum(column) for column in zip(*counts.values(), strict=True)))
    print(f"{'':28}" + "".join(f"{name:>8}" for name in Count._fields))
    for name, one in [*counts.items(), ("all", total)]:
        print(f"{name:28}" + "".join(f"{value:8}" for value in one))
    if total.lost or total.wrong:
        print(f"what was lost or wrong lies in {base}")
        return 1
    shutil.rmtree(base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
