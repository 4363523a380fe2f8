"""A lock for file systems without locks: a file that names its owner and is renewed while the owner works.

It excludes other processes as long as the owner renews it in time. An owner that pauses for longer than ``EXPIRES`` may
lose it to another process, and is stopped at its next renewal; until then both may write to the same folder.
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
PAUSE = 0.1  # seconds between two attempts during a wait
ATTEMPTS = 10  # to take a lease for which other processes compete


@contextmanager
def hold_lease(path: Path, clock: Callable[[], float], *, wait: bool = False) -> Iterator[None]:
    """Hold a lease during the block.

    Args:
        path: the lease's file.
        clock: returns the time of the file system's clock, which also dates the renewals.
        wait: whether to wait while another process holds it.

    Raises:
        InputError: another process holds it.
        RunError: it was lost during the block, which was then interrupted.
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
    """Remove a lease whose owner has ended.

    Raises:
        InputError: its owner may still be at work.
    """
    try:
        text, age = _text(path), now - path.lstat().st_mtime
    except FileNotFoundError:
        return  # released meanwhile
    if age <= EXPIRES and not _is_gone(text):
        raise InputError(
            f"another process holds the lease {path}, renewed {max(age, 0):.0f} seconds ago; wait for it, or choose "
            f"another folder; a killed process's lease ends {EXPIRES:.0f} seconds after its last renewal"
        )
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return  # another process has removed it
    if _text(aside) != text:  # another process has taken a new lease meanwhile: put it back
        with suppress(OSError):
            os.link(aside, path)
    aside.unlink()


def _text(path: Path) -> str:
    """Read a lease without waiting: a pipe in its place counts as empty."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8", errors="replace") as file:
        return file.read()


def _owner(pid: int) -> dict[str, str | int | None]:
    """Return the identity of a process: machine, process namespace, id and time of start."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space: str | None = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        space = None
    return {"host": socket.gethostname(), "space": space, "pid": pid, "started": _start_time(pid)}


def _start_time(pid: int) -> str | None:
    """Return the start time of a process of this machine, None if it does not run."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else words[19]


def _is_gone(text: str) -> bool:
    """Return whether a lease names an owner on this machine that has ended."""
    try:
        holder = json.loads(text)
        here = _owner(int(holder["pid"]))
        same = here["space"] is not None and all(holder[name] == here[name] for name in ("host", "space"))
        return same and bool(holder["started"] != here["started"])
    except (KeyError, TypeError, ValueError):
        return False  # written in part


def _renew(path: Path, text: str, ended: threading.Event, lost: threading.Event) -> None:
    renewed = time.monotonic()
    while not ended.wait(RENEWAL):
        try:
            is_held = _text(path) == text
            if is_held:
                os.utime(path)
                renewed = time.monotonic()
        except FileNotFoundError:
            is_held = False
        except OSError:  # a file server may be unavailable for a while
            is_held = time.monotonic() - renewed <= EXPIRES
        if not is_held:
            lost.set()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            return
