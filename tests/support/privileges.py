"""Permissions that hold also for root: for a while without the capabilities that pass over them, or as another user."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

NOBODY = 65534
VERSION = 0x20080522  # of Linux's interface of capabilities
DAC_OVERRIDE, DAC_READ_SEARCH = 1 << 1, 1 << 2
Words = ctypes.c_uint32 * 6  # effective, permitted and inheritable, for capabilities up to 31 and from 32


@contextmanager
def permissions_hold() -> Iterator[None]:
    """Let this thread open only what the modes of files and folders allow, as if it were not root's.

    Raises:
        OSError: the system does not let it.
    """
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, held = (ctypes.c_uint32 * 2)(VERSION, 0), Words()

    def change(call: str, words: ctypes.Array[ctypes.c_uint32]) -> None:
        if getattr(libc, call)(header, words):
            raise OSError(ctypes.get_errno(), f"{call} failed")

    change("capget", held)
    fewer = Words(*held)
    fewer[0] &= ~(DAC_OVERRIDE | DAC_READ_SEARCH)
    change("capset", fewer)
    try:
        yield
    finally:
        change("capset", held)


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Act as a user whom permissions bind, as root they do not."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(before)
