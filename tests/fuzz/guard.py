"""What reading a hostile file must never do, watched by audit events: write elsewhere, run, connect, hang."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RUNS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn")
CONNECTS = ("socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request")
UNPICKLES = ("pickle.find_class", "marshal.loads", "ctypes.dlopen")
#: Events by the places of the paths that they write to, and of the folder's handle that makes a path relative to it.
WRITES: dict[str, tuple[tuple[int, ...], int | None]] = {
    "os.mkdir": ((0,), 2),
    "os.chmod": ((0,), 2),
    "os.remove": ((0,), 1),
    "os.rmdir": ((0,), 1),
    "os.rename": ((0, 1), 2),
    "os.link": ((1,), 3),
    "os.symlink": ((1,), 2),
    "os.truncate": ((0,), None),
    "shutil.rmtree": ((0,), None),
    "shutil.move": ((0, 1), None),
    "shutil.copyfile": ((1,), None),
}
#: Those of them that write through a link; the others replace or remove the link itself.
FOLLOW = ("open", "os.chmod", "os.truncate", "shutil.copyfile")
OPEN_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Violation(BaseException):
    """Something was about to be done that no file may cause; no ``except Exception`` on the way hides it."""


class Tripwire:
    """Notices when a file of a folder, or the folder, is opened by anyone, also in C, where Python sees no event.

    Args:
        folder: which must not be opened.
    """

    OPENED = 0x1 | 0x20  # Linux's IN_ACCESS and IN_OPEN

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if libc.inotify_add_watch(self._handle, os.fsencode(folder), self.OPENED) < 0:
            raise OSError(ctypes.get_errno(), "no watch on the baits")

    def sprung(self) -> bool:
        """Say whether anything was opened since the last call."""
        try:
            return bool(os.read(self._handle, 2**16))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Stop watching."""
        os.close(self._handle)


class Hang(BaseException):
    """A case took longer than its limit."""


_allowed: tuple[str, ...] = ()
_installed = False
_below = ""  # the folder that a name is opened in, which the audit event leaves out
_os_open = os.open


def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    """Open as :func:`os.open` does, and note the folder of a handle for the audit event."""
    global _below
    _below = "" if dir_fd is None else str(Path(f"/proc/self/fd/{dir_fd}").readlink())
    try:
        return _os_open(path, flags, mode, dir_fd=dir_fd)
    finally:
        _below = ""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _allowed:
        return
    if event in RUNS or event in CONNECTS or (event in UNPICKLES and not _importing()):
        raise Violation(f"{event} {arguments!r:.200}")
    if event == "exec" and isinstance(arguments[0], types.CodeType) and not _importing():
        caller = sys._getframe(1)
        if "fontTools" not in caller.f_code.co_filename:  # which evaluates conditions of its own tables of OpenType
            raise Violation(f"exec of code from {arguments[0].co_filename} in {caller.f_code.co_filename}")
    if event == "import" and "." not in arguments[0] and not _importing() and not _is_known(arguments[0]):
        raise Violation(f"import of {arguments[0]}")
    if event == "open" and arguments[2] & OPEN_TO_WRITE and not isinstance(arguments[0], int):
        _check(event, Path(_below, os.fsdecode(arguments[0])))
    if event in WRITES:
        places, handle = WRITES[event]
        if handle is None or arguments[handle] == -1:  # else below a folder that was opened, and checked, before
            for place in places:
                _check(event, arguments[place])


def _check(event: str, path: Any) -> None:
    folder, name = os.path.split(os.fsdecode(path))
    real = f"{os.path.realpath(folder)}{os.sep}{name}"
    if event in FOLLOW or name in ("", ".", ".."):
        real = os.path.realpath(real)
    if real != os.devnull and not any(real == top or real.startswith(top + os.sep) for top in _allowed):
        raise Violation(f"{event} {real}")


def _importing() -> bool:
    """Whether Python itself is in the middle of importing a module."""
    frame = sys._getframe(2)
    while frame:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _is_known(module: str) -> bool:
    """Whether a module is of the standard library, or of a package that is in use already."""
    return module in sys.stdlib_module_names or module in {name.partition(".")[0] for name in sys.modules}


@contextmanager
def watched(*folders: Path, seconds: float) -> Iterator[None]:
    """Let the block write below the folders alone, run nothing, and take no longer than the limit.

    Raises:
        Violation: it was about to do otherwise.
        Hang: it took too long.
    """
    global _allowed, _installed
    if not _installed:
        sys.addaudithook(_hook)  # for the life of the process; idle outside such blocks
        _installed = True

    def ring(*_: object) -> None:
        raise Hang(f"over {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    _allowed = tuple(os.path.realpath(folder) for folder in folders)
    os.open = _open
    try:
        yield
    finally:
        os.open = _os_open
        _allowed = ()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
