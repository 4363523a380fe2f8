"""Files that are there and cannot be read: the command says so and replaces none of them.

A failing disk is an error injected where files are opened, and once more below Python by a preloaded library; another
owner's files are read as ``nobody``.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stress.kill_storm import print_of

import selectrl
from selectrl import files
from selectrl.compare import conduct
from selectrl.errors import UnreadableError
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run

Call = Callable[..., Any]
NOBODY = 65534
RECORDS = ("experiment.json", "execution.json", "checkpoint-000000040.safetensors", "diagnostics.json")
RECORDS += ("evaluations/proximal.json", "evaluations/offline.json")

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int hit(int fd, const char *setting) {
    char link[64], path[4096];
    const char *part = getenv(setting);
    if (part == NULL || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return strstr(path, part) != NULL;
}

ssize_t read(int fd, void *buffer, size_t size) {
    static ssize_t (*real)(int, void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "read");
    if (hit(fd, "FAIL_READ")) { errno = EIO; return -1; }
    return real(fd, buffer, size);
}

void *mmap(void *at, size_t size, int kind, int flags, int fd, off_t offset) {
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (!real) real = dlsym(RTLD_NEXT, "mmap");
    if (hit(fd, "FAIL_MMAP")) { errno = ENODEV; return MAP_FAILED; }
    return real(at, size, kind, flags, fd, offset);
}

void *mmap64(void *at, size_t size, int kind, int flags, int fd, off_t offset) {
    return mmap(at, size, kind, flags, fd, offset);
}
"""


@pytest.fixture(scope="module")
def finished(call: Call, words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    out = tmp_path_factory.mktemp("finished")
    assert call("train", *words, "--out", out).code == 0
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished run that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "out"))


def run_of(out: Path) -> Path:
    return out / "point_robot" / "run" / "seed0"


def sentence(done: Any, path: Path, reason: str) -> None:
    """Check that a command ended in one sentence which names the file and the reason."""
    assert done.code == 2, done
    (line,) = [line for line in done.err.splitlines() if line.startswith("selectrl: ")]
    assert line.startswith(f"selectrl: cannot read {path}: {reason}"), done


def fail(monkeypatch: pytest.MonkeyPatch, name: str, number: int = errno.EIO) -> None:
    """Let no file whose path ends so be opened for reading."""
    opened = files._open_without_waiting

    def refuse(path: str, flags: int) -> int:
        if os.fspath(path).endswith(name):
            raise OSError(number, os.strerror(number), path)
        return opened(path, flags)

    monkeypatch.setattr(files, "_open_without_waiting", refuse)


@pytest.mark.parametrize("name", RECORDS)
def test_a_finished_run_on_a_failing_disk_is_left_as_it_is(
    name: str, call: Call, words: list[str], out: Path, listing: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(out)
    with monkeypatch.context() as patch:
        fail(patch, name)
        done = call("train", *words, "--out", out)
    sentence(done, run_of(out) / name, "Input/output error")
    assert listing(out) == before
    assert call("train", *words, "--out", out).code == 0
    assert listing(out) == before


def test_the_checkpoint_before_does_not_stand_in_for_one_that_cannot_be_read(
    call: Call, words: list[str], out: Path, listing: Call, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    before = listing(out)
    fail(monkeypatch, "checkpoint-000000040.safetensors", errno.ENODEV)
    with pytest.raises(UnreadableError, match="No such device"):
        Run.open(run_of(out), Execution(data=data)).agent()
    sentence(
        call("evaluate", run_of(out), "--data", data),
        run_of(out) / "checkpoint-000000040.safetensors",
        "No such device",
    )
    assert listing(out) == before


def test_a_comparison_names_the_run_that_it_cannot_read_and_ends_the_others(
    call: Call, words: list[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ["compare", "--methods", "select,csro", "--env", "point_robot", "--data", data, "--launcher", "inline"]
    both += [*words[words.index("--set") : words.index("--name")], "--seeds", "1", "--threads", "1", "--out", tmp_path]
    monkeypatch.setattr(conduct, "write_report", lambda plan, out: None)  # its figures take long, and are not looked at
    assert call(*both).code == 0
    path = next(tmp_path.glob("point_robot/select*/seed0/evaluations/offline.json"))
    other = next(tmp_path.glob("point_robot/csro*/seed0/evaluations/offline.json"))
    content = path.read_bytes()
    other.unlink()
    with monkeypatch.context() as patch:
        fail(patch, str(path))
        done = call(*both)
    assert done.code == 1
    assert f"cannot read {path}: Input/output error" in done.err, done
    assert "1 of 2 runs failed; give the same command again" in done.err
    assert "internal error" not in done.err
    assert path.read_bytes() == content
    assert other.exists()


def test_a_damaged_evaluation_is_made_again_with_a_warning(
    call: Call, words: list[str], whole: dict[str, str], out: Path
) -> None:
    path = run_of(out) / "evaluations" / "offline.json"
    path.write_text("{")
    done = call("train", *words, "--out", out)
    assert done.code == 0, done
    assert f"selectrl: warning: {path} is not valid JSON" in done.err
    assert print_of(out) == whole


def test_a_run_in_a_folder_whose_name_is_not_utf_8(
    call: Call, words: list[str], whole: dict[str, str], tmp_path: Path, listing: Call
) -> None:
    out = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        out.mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    assert call("train", *words, "--out", out).code == 0
    before = listing(out)
    assert print_of(out) == whole
    done = call("train", *words, "--out", out, "--json")
    assert done.code == 0, done
    assert '"trained": false' in done.out
    assert listing(out) == before


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that, loaded before all others, makes calls fail on files whose path holds a word."""
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("it takes Linux and a C compiler")
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", folder / "shim.so", folder / "shim.c", "-ldl"]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the C compiler does not work: {done.stderr.strip()}")
    return folder / "shim.so"


def test_a_checkpoint_below_which_the_system_fails(shim: Path, words: list[str], out: Path, listing: Call) -> None:
    """A file that cannot be mapped is read; reading that fails stops the command."""
    before, settings = listing(out), {"LD_PRELOAD": str(shim), "FAIL_MMAP": "seed0/checkpoint-", "OMP_NUM_THREADS": "1"}
    code = (
        "import os, sys; from selectrl.cli.app import run; first = run(sys.argv[1:])\n"
        "os.environ['FAIL_READ'] = os.environ['FAIL_MMAP']; print(first, run(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "train", *words, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | settings)
    assert "done before" in done.stdout, done
    assert done.stdout.splitlines()[-1] == "0 2", done
    path = run_of(out) / "checkpoint-000000040.safetensors"
    assert f"selectrl: cannot read {path}: Input/output error" in done.stderr
    assert listing(out) == before


def test_data_that_cannot_be_mapped_are_read(
    shim: Path, words: list[str], out: Path, data: Path, tmp_path: Path, whole: dict[str, str], listing: Call
) -> None:
    """Training, meta-tests, checks of a dataset and reports give the same on a file system that cannot map files."""
    environment = os.environ | {"LD_PRELOAD": str(shim), "FAIL_MMAP": ".safetensors", "OMP_NUM_THREADS": "1"}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "selectrl", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done
        return done

    run("train", *words, "--out", tmp_path / "read")
    assert print_of(tmp_path / "read") == whole
    before = listing(out)
    run("data", "verify", data / "point_robot" / "tiny")
    run("report", out, "--out", tmp_path / "report", "--export", tmp_path / "copy")
    assert "left out" not in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert list((tmp_path / "copy").rglob("proximal.safetensors"))
    assert listing(out) == before


@pytest.fixture
def stranger(finished: Path, data: Path, words: list[str]) -> Iterator[Callable[..., Any]]:
    """Act as ``nobody`` on a finished run of another owner, in folders that everyone may write to.

    Gives a function of what to run and the place of the run.
    """
    if os.geteuid():
        pytest.skip("acting as another user takes root")
    base = Path(tempfile.mkdtemp(prefix="strangers-", dir="/tmp"))  # pytest's own folders are closed to others
    try:
        shutil.copytree(finished, base / "out")
        shutil.copytree(data, base / "data", ignore=shutil.ignore_patterns(".*"))
        for path in [base, *base.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o644)

        def act(work: Callable[[], Any]) -> Any:
            os.seteuid(NOBODY)
            try:
                if not os.access(Path(selectrl.__file__), os.R_OK, effective_ids=True):
                    pytest.skip("nobody may not read the package")
                return work()
            finally:
                os.seteuid(0)

        act.base = base  # type: ignore[attr-defined]
        yield act
    finally:
        shutil.rmtree(base)


@pytest.mark.parametrize("name", RECORDS)
def test_a_finished_run_of_another_owner_is_left_as_it_is(
    name: str, stranger: Any, call: Call, words: list[str], listing: Call
) -> None:
    out, at = stranger.base / "out", words.index("--data")
    path = run_of(out) / name
    path.chmod(0o600)
    before = listing(out)
    command = ["train", *words[: at + 1], stranger.base / "data", *words[at + 2 :], "--out", out]
    sentence(stranger(lambda: call(*command)), path, "Permission denied; ask its owner")
    assert listing(out) == before
    path.chmod(0o644)
    assert stranger(lambda: call(*command)).code == 0
    assert listing(out) == before


def test_a_folder_that_cannot_be_listed_is_not_empty(stranger: Any, call: Call) -> None:
    run = run_of(stranger.base / "out")
    run.chmod(0o311)
    done = stranger(lambda: call("evaluate", run, "--data", stranger.base / "data"))
    sentence(done, run, "Permission denied; ask its owner")
