"""The short form of ``make fuzz``: hostile files are read or refused in one sentence, and do nothing else."""

from __future__ import annotations

import ctypes
import os
import pickle
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fuzz.campaign import run
from fuzz.targets import TARGETS, Target

LIBC = ctypes.CDLL(None)
CASES = {
    "manifest": 150,
    "tensors": 60,
    "checkpoint": 80,
    "experiment": 40,
    "records": 5,
    "npy tree": 80,
    "minari": 30,
    "gin": 50,
    "external storage": 15,
    "external links": 15,
    "views": 15,
    "plugin filters": 15,
    "pipes": 10,
    "links": 15,
}


@pytest.mark.parametrize("target", CASES)
def test_a_damaged_file_is_read_or_refused(target: str) -> None:
    ended, faults = run(target, range(CASES[target]))
    assert not faults, "\n\n".join(f"seed {fault.seed}, {fault.file}\n{fault.what}" for fault in faults)
    assert sum(ended.values()) == CASES[target]


def one_file(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "a.json").write_text("{}")


def swallowing(act: Callable[[], object]) -> None:
    try:
        act()
    except Exception:  # as our own readers do with what a library may stumble over
        return


def escape(folder: Path) -> None:
    (folder.parents[1] / "escaped").write_text("here")


def escape_by_handle(folder: Path) -> None:
    place = os.open(folder.parents[1], os.O_RDONLY)
    try:
        os.close(os.open("escaped", os.O_CREAT | os.O_WRONLY, dir_fd=place))
    finally:
        os.close(place)


def unpickle(folder: Path) -> None:
    pickle.loads(pickle.dumps(os.getcwd))


def open_elsewhere(folder: Path) -> None:
    """Open a bait as HDF5 does, in C, where no audit event tells."""
    LIBC.close(LIBC.open(os.fsencode(folder.parents[1] / "bait" / "values.bin"), os.O_RDONLY))


def hang(folder: Path) -> None:
    time.sleep(60)


CRIMES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a crash": (lambda folder: {}["nothing"], "KeyError"),
    "a hang": (hang, "Hang: over 0.2 s"),
    "a file elsewhere": (open_elsewhere, "a file elsewhere was opened"),
    "a write": (escape, "Violation: open"),
    "a write by the handle of a folder": (escape_by_handle, "Violation: open"),
    "a link": (lambda folder: (folder.parents[1] / "link").symlink_to("/"), "Violation: os.symlink"),
    "a folder": (lambda folder: (folder.parents[1] / "new").mkdir(), "Violation: os.mkdir"),
    "a shell": (lambda folder: os.system("true"), "Violation: os.system"),
    "a process": (lambda folder: subprocess.run(["true"], check=False), "Violation: subprocess.Popen"),
    "code": (lambda folder: exec("1"), "Violation: exec of code"),
    "a pickle": (unpickle, "Violation: pickle.find_class"),
    "a connection": (lambda folder: socket.create_connection(("127.0.0.1", 9)), "Violation: socket"),
}


@pytest.mark.parametrize("crime", CRIMES)
def test_the_watch_sees(crime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the reader swallows every exception, all but its own crash comes to light."""
    commit, says = CRIMES[crime]
    begun: list[Any] = []

    def read(folder: Path, out: Path) -> None:
        if begun:  # the first reading is of sound files
            commit(folder) if crime == "a crash" else swallowing(lambda: commit(folder))
        begun.append(folder)

    target = Target(one_file, ("a.json",), read)
    monkeypatch.setitem(TARGETS, "planted", target)
    monkeypatch.setattr("fuzz.campaign.LONGEST", 0.2)
    ended, faults = run("planted", range(1))
    assert ended["faults"] == 1
    assert says in faults[0].what
