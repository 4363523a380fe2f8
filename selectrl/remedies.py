"""Remedies for the errors of the operating system, by their number."""

from __future__ import annotations

import errno

_RIGHTS = "ask its owner for access, or choose another place"
_FULL = "free the disk, or choose another place"
_REGULAR = "put a regular file there, or name another"
_DISK = "check the disk that it is on, or choose another place"
_REMEDIES: dict[int | None, str] = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "choose a place that can be written to",
    errno.ENOENT: "check that its folder still exists",
    errno.ENOTDIR: "check the path: a part of it is a file where a folder is expected",
    errno.EEXIST: "move the existing file away, or choose another name",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EISDIR: _REGULAR,
    errno.ENXIO: _REGULAR,
    errno.ELOOP: _REGULAR,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EMFILE: "close programs that hold files open, or raise `ulimit -n`",
    errno.ENFILE: "close programs that hold files open",
    errno.EIO: _DISK,
    errno.ENODEV: _DISK,
    errno.ESTALE: _DISK,
    errno.ETIMEDOUT: _DISK,
}

ANY_FILE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE)
"""Errors whose remedy does not depend on the path."""


def reason(error: OSError) -> str:
    """Return the end of a sentence on a file or folder: the reason and the remedy."""
    remedy = _REMEDIES.get(error.errno, "check the path, or choose another")
    return f"{error.strerror or ' '.join(str(error).split())}; {remedy}, and give the command again"
