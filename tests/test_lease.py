"""The lease that takes the place of a lock on file systems that have none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selectrl import lease
from selectrl.errors import InputError, RunError
from selectrl.locks import lock, wait_and_lock

HOLDER = (
    "import sys, time\nfrom pathlib import Path\nfrom selectrl.locks import lock\n"
    "with lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"
)
ON_LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no process table to look into")


@pytest.fixture(autouse=True)
def by_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELECTRL_LOCK", "lease")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def file(run: Path) -> Path:
    """The lease's file of the run."""
    return run.with_name(".run.selectrl-lease")


def another(**changes: object) -> str:
    """Return what the lease of a process on another machine says."""
    return json.dumps({"host": "elsewhere", "space": "b 1", "pid": os.getpid(), "started": "1", "token": "t"} | changes)


def test_it_is_held_and_given_back(run: Path, file: Path) -> None:
    with lock(run):
        assert json.loads(file.read_text())["pid"] == os.getpid()
        with pytest.raises(InputError, match=r"another process holds the lease .*wait for it"), lock(run):
            pytest.fail("two hold it")
    assert [path.name for path in file.parent.iterdir()] == ["run"]
    with lock(run):
        pass


@ON_LINUX
def test_a_killed_owner_of_this_machine_loses_it_at_once(run: Path, file: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, run], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another process holds"), lock(run):
        pytest.fail("two hold it")
    holder.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, though its entry is still there
    assert file.exists()
    with lock(run):
        pass
    holder.wait()
    holder.stdout.close()


@ON_LINUX
def test_an_id_that_another_process_has_now_is_no_owner(run: Path, file: Path) -> None:
    own = lease._owner(os.getpid())
    file.write_text(json.dumps({**own, "started": "1", "token": "t"}))
    with lock(run):
        pass


@pytest.mark.parametrize(
    "text",
    [another(), another(space=None), "", "{", "[]", another(pid="x")],
    ids=["elsewhere", "no space", "empty", "half", "list", "no id"],  # the texts differ from process to process
)
def test_an_owner_that_cannot_be_looked_for_has_time(run: Path, file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=r"renewed \d+ seconds ago"), lock(run):
        pytest.fail("two hold it")
    old = time.time() - lease.EXPIRES - 60
    os.utime(file, (old, old))
    with lock(run):
        assert file.read_text() != text
    assert not file.exists()


def test_it_is_renewed(run: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 0.01)
    with lock(run):
        os.utime(file, (1e9, 1e9))
        end = time.monotonic() + 60
        while file.stat().st_mtime == 1e9:
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.mark.parametrize("how", ["taken", "removed"])
def test_an_owner_that_has_lost_it_is_stopped(run: Path, file: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 0.01)

    def work() -> None:
        with lock(run):
            file.write_text(another()) if how == "taken" else file.unlink()
            time.sleep(60)
            pytest.fail("it was not stopped")

    with pytest.raises(RunError, match="went to another process"):
        work()
    assert file.exists() == (how == "taken")  # the new owner's is left alone


def test_a_server_that_is_away_for_a_while_costs_nothing(
    run: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 0.01)
    real, failed = os.utime, []

    def away(*given: object, **named: object) -> None:
        if len(failed) < 3:
            failed.append(1)
            raise OSError(5, "Input/output error")
        real(*given, **named)  # type: ignore[arg-type]

    with lock(run):
        monkeypatch.setattr(os, "utime", away)
        end = time.monotonic() + 60
        while len(failed) < 3:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert not file.exists()


def test_of_two_that_clear_an_old_lease_the_slower_puts_back_the_new_one(
    run: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower has read the old lease; before it renames it away, the faster has already taken its own."""
    file.write_text(another())
    old = time.time() - lease.EXPIRES - 60
    os.utime(file, (old, old))
    real = Path.rename

    def late(path: Path, target: Path) -> Path:
        if path == file and file.read_text() == another():
            file.write_text(another(token="faster"))
        return real(path, target)

    monkeypatch.setattr(Path, "rename", late)
    with pytest.raises(InputError, match="another process holds"), lock(run):
        pytest.fail("two hold it")
    assert json.loads(file.read_text())["token"] == "faster"
    assert {path.name for path in file.parent.iterdir()} == {"run", file.name}


def test_a_link_is_not_followed(run: Path, file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    file.symlink_to(target)
    with pytest.raises(InputError, match="another process holds"), lock(run):
        pytest.fail("held")
    assert target.read_text() == "mine"


def test_a_pipe_in_its_place_is_not_waited_for(run: Path, file: Path) -> None:
    os.mkfifo(file)
    with pytest.raises(InputError, match="another process holds"), lock(run):
        pytest.fail("held")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"), lock(tmp_path / "file" / "run"):
        pytest.fail("held")


def test_a_moment_alone_waits_for_the_lease(run: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer of evaluations waits for another, instead of writing beside it."""
    monkeypatch.setattr(lease, "PAUSE", 0.01)
    code = HOLDER.replace("600", "60").replace("lock(", "wait_and_lock(").replace("import lock", "import wait_and_lock")
    with subprocess.Popen([sys.executable, "-c", code, run], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        ended: list[bool] = []
        real = lease._clear

        def look(path: Path, now: float) -> None:
            if not ended:
                ended.append(True)
                with pytest.raises(InputError, match="another process holds"):
                    real(path, now)
                holder.kill()
                os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
                old = time.time() - lease.EXPIRES - 60
                os.utime(path, (old, old))
                raise InputError("still held")
            real(path, now)

        monkeypatch.setattr(lease, "_clear", look)
        with wait_and_lock(run):
            assert json.loads(file.read_text())["pid"] == os.getpid()
        assert ended
    assert not file.exists()


def test_a_moment_alone_needs_locks(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    monkeypatch.delenv("SELECTRL_LOCK")
    with pytest.raises(InputError, match="SELECTRL_LOCK=lease"), wait_and_lock(run):
        pytest.fail("nothing was held")
