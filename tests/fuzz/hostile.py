"""Damage by names: sound files that are made to lead to other files, to plugins, or to a pipe that nobody writes to.

The places that they lead to are baits, which :class:`fuzz.guard.Tripwire` watches: none may be opened.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t, h5z

VALUES = np.arange(64, dtype="f4")


def lay_baits(folder: Path) -> None:
    """Write what a reader could be led to."""
    folder.mkdir(parents=True)
    (folder / "values.bin").write_bytes(VALUES.tobytes())
    with h5py.File(folder / "values.hdf5", "w") as file:
        file["values"] = VALUES
        file["group/values"] = VALUES
    os.mkfifo(folder / "pipe")


def _target(bait: Path, victim: Path, rng: Random) -> str:
    """Return the path of a bait, absolute or relative, or one that leads nowhere good."""
    name = rng.choice(("values.bin", "values.hdf5", "pipe", "missing", ""))
    path = str(bait / name)
    relative = os.path.relpath(bait / name, victim.parent)
    return rng.choice((path, path, relative, "/dev/zero", "/etc/passwd", str(victim), ".", "%b", victim.name))


def _place(file: Any, rng: Random) -> tuple[Any, str, int]:
    """Return a group, a free name in it and a number of values; the name is often that of a dataset that was there."""
    items: list[Any] = []
    file.visititems(lambda _, item: items.append(item))
    item = rng.choice(items)
    if rng.random() < 0.6 and isinstance(item, h5py.Dataset):
        group, name, size = item.parent, item.name.rpartition("/")[2], int(np.prod(item.shape))
        del group[name]
        return group, name, size
    group = rng.choice((file, item if isinstance(item, h5py.Group) else item.parent))
    if rng.random() < 0.3:
        group = group.require_group("deep/deeper")
    return group, rng.choice(("new", "infos2", "~", "\u00fc")), rng.choice((1, 3, 20))


def external_storage(victim: Path, bait: Path, rng: Random) -> None:
    """Keep the values of a dataset in other files."""
    with h5py.File(victim, "r+") as file:
        group, name, size = _place(file, rng)
        kind = rng.choice(("f4", "i8", "?"))
        parts = rng.choice((1, 1, 2, 5))
        length = -(-size * np.dtype(kind).itemsize // parts)
        places = [(_target(bait, victim, rng) or "x", rng.choice((0, 0, 1, 4096)), length) for _ in range(parts)]
        if rng.random() < 0.3:
            places[-1] = (*places[-1][:2], h5py.h5f.UNLIMITED)
        group.create_dataset(name, (size,), kind, external=places)


def external_link(victim: Path, bait: Path, rng: Random) -> None:
    """Put a link to another file, or a soft link that leads on to one, in the place of an object."""
    inner = rng.choice(("values", "/values", "group", "/group/values", "/", "missing", ".."))
    with h5py.File(victim, "r+") as file:
        group, name, _ = _place(file, rng)
        group[name] = h5py.ExternalLink(_target(bait, victim, rng) or "x", inner)
        if rng.random() < 0.3:
            other, soft, _ = _place(file, rng)
            if soft not in other:
                other[soft] = h5py.SoftLink(f"{group.name}/{name}")


def view(victim: Path, bait: Path, rng: Random) -> None:
    """Make a dataset a view of others, in other files or this one."""
    with h5py.File(victim, "r+") as file:
        group, name, size = _place(file, rng)
        layout = h5py.VirtualLayout((size,), "f4")
        for _ in range(rng.choice((1, 1, 2))):
            stop = rng.randrange(1, size + 1)
            target = _target(bait, victim, rng).replace("%", "%%") or "."
            source = h5py.VirtualSource(target, rng.choice(("values", "x")), (stop,))
            layout[:stop] = source
        group.create_virtual_dataset(name, layout, fillvalue=rng.choice((None, 0)))


def plugin_filter(victim: Path, bait: Path, rng: Random) -> None:
    """Have a dataset packed by a filter that HDF5 would look for among its plugins, alone or behind its own."""
    with h5py.File(victim, "r+") as file:
        group, name, size = _place(file, rng)
        layout = h5p.create(h5p.DATASET_CREATE)
        layout.set_chunk((max(1, size // rng.choice((1, 2))),))
        if rng.random() < 0.3:
            layout.set_shuffle()
        numbers = (305, 307, 32001, 32004, 32013, 32015, 32026, rng.randrange(256, 512), rng.randrange(32001, 65536))
        layout.set_filter(rng.choice(numbers), h5z.FLAG_OPTIONAL, (rng.randrange(9),))
        if rng.random() < 0.3:
            layout.set_deflate(4)
        h5d.create(group.id, name.encode(), h5t.IEEE_F32LE, h5s.create_simple((size,)), layout)


def pipe(victim: Path, bait: Path, rng: Random) -> None:
    """Put a pipe, or a link to one in the same folder or to a device, in the place of a file."""
    victim.unlink()
    way = rng.randrange(3)
    if way == 0:
        os.mkfifo(victim)
    elif way == 1:
        os.mkfifo(victim.with_name(".pipe"))
        victim.symlink_to(".pipe")
    else:
        victim.symlink_to(rng.choice(("/dev/zero", "/dev/full", "/dev/tty")))


def link(victim: Path, bait: Path, rng: Random) -> None:
    """Put a link that leads out in the place of a file, or of a folder above it; it leads to what was there before."""
    while rng.random() < 0.3 and victim.parent.parent.name not in ("given", "minari"):
        victim = victim.parent
    way = rng.randrange(6)
    moved = bait / f"moved-{rng.randrange(10**9)}"
    if way <= 2:
        shutil.move(victim, moved)
        victim.symlink_to(moved if way else os.path.relpath(moved, victim.parent))
        return
    shutil.rmtree(victim) if victim.is_dir() else victim.unlink()
    places = (bait / "values.hdf5", bait / "missing", "/etc/passwd", "/", victim, bait, ".", "..", "/proc/self/fd/0")
    victim.symlink_to(rng.choice(places))
