"""A lock for file systems that have none: a file that names its owner and is renewed while the owner works.

It excludes others as long as the owner renews it in time. An owner that stands still for longer than ``EXPIRES`` may
lose it to another process, and is stopped at its next renewal; in between the two may write to one folder.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from selectrl.errors import InputError, RunError

RENEWAL = 15.0  # seconds between two renewals
EXPIRES = 180.0  # seconds after its last renewal at which a lease ends
PAUSE = 0.1  # seconds between two looks at a lease that is waited for
ATTEMPTS = 10  # at taking a lease that others take and give back at the same time


@contextmanager
def hold_lease(path: Path, clock: Callable[[], float], *, wait: bool = False) -> Iterator[None]:
    """Hold a lease during the block.

    Args:
        path: the lease's file.
        clock: returns the time by the clock of its file system, which also dates the renewals.
        wait: whether to wait for another process that holds it.

    Raises:
        InputError: another process holds it.
        RunError: it was lost during the block, which was interrupted.
        OSError: the file cannot be written.
    """
    text = json.dumps({**_owner(os.getpid()), "token": secrets.token_hex(8)})
    _take(path, text, clock, wait)
    ended, lost = threading.Event(), threading.Event()
    renewal = threading.Thread(target=_renew, args=(path, text, ended, lost), daemon=True)
    renewal.start()
    try:
        yield
    finally:
        ended.set()
        renewal.join()
        if lost.is_set():  # in place of the KeyboardInterrupt that stopped the block
            raise RunError(
                f"the lease {path} went to another process because it was not renewed for {EXPIRES:.0f} seconds; "
                "wait for that process, and give the command again"
            )
        with suppress(OSError):
            path.unlink()


def _take(path: Path, text: str, clock: Callable[[], float], wait: bool) -> None:
    for _ in count() if wait else range(ATTEMPTS):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o666)
        except FileExistsError:
            try:
                _clear(path, clock())
            except InputError:
                if not wait:
                    raise
                time.sleep(PAUSE)
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        return
    raise InputError(f"several processes try to get the lease {path}; give the command again")


def _clear(path: Path, now: float) -> None:
    """Remove a lease whose owner is gone.

    Raises:
        InputError: its owner may still work.
    """
    try:
        text, age = _text(path), now - path.lstat().st_mtime
    except FileNotFoundError:
        return  # given back just now
    if age <= EXPIRES and not _is_gone(text):
        raise InputError(
            f"another process holds the lease {path}, renewed {max(age, 0):.0f} seconds ago; wait for it, or choose "
            f"another folder; a killed process's lease ends {EXPIRES:.0f} seconds after its last renewal"
        )
    grave = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.rename(grave)
    except FileNotFoundError:
        return  # another process has cleared it
    if _text(grave) != text:  # it has even taken its own, which is put back
        with suppress(OSError):
            os.link(grave, path)
    grave.unlink()


def _text(path: Path) -> str:
    """Read a lease, at once: a pipe in its place is empty."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8", errors="replace") as file:
        return file.read()


def _owner(pid: int) -> dict[str, str | int | None]:
    """Return what tells a process from all others: machine, process namespace, id and time of start."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space: str | None = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        space = None
    return {"host": socket.gethostname(), "space": space, "pid": pid, "started": _started(pid)}


def _started(pid: int) -> str | None:
    """Return when a process of this machine began, None if there is none that lives."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else words[19]


def _is_gone(text: str) -> bool:
    """Say whether a lease names an owner that was on this machine and lives no more."""
    try:
        holder = json.loads(text)
        here = _owner(int(holder["pid"]))
        same = here["space"] is not None and all(holder[name] == here[name] for name in ("host", "space"))
        return same and bool(holder["started"] != here["started"])
    except (KeyError, TypeError, ValueError):
        return False  # written by half


def _renew(path: Path, text: str, ended: threading.Event, lost: threading.Event) -> None:
    renewed = time.monotonic()
    while not ended.wait(RENEWAL):
        try:
            held = _text(path) == text
            if held:
                os.utime(path)
                renewed = time.monotonic()
        except FileNotFoundError:
            held = False
        except OSError:  # a server that is away for a while
            held = time.monotonic() - renewed <= EXPIRES
        if not held:
            lost.set()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            return
