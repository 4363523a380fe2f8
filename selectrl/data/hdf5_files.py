"""HDF5 files of others, read without trust: an object that names another file, or code, is refused before it is read.

An HDF5 file may keep the values of a dataset in any other file, link to objects of other files, and ask for a filter
that HDF5 loads from a folder of plugins. Here a file is read only if it contains all its values itself and needs no
filters but those that come with HDF5 and h5py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selectrl.errors import DataError
from selectrl.files import open_regular

LARGEST_CHUNK = 2**28  # bytes; a chunk is unpacked as a whole, however small it is in the file


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open a file as an ``h5py.File`` after a check of all its objects; the only way in which HDF5 is read here.

    Args:
        path: of a regular file.

    Raises:
        UnreadableError: the file exists, but cannot be read or is not a regular file.
        InputError: the file does not exist.
        DataError: the file is damaged, also if this shows only in the block, or an object leads out of the file.
    """
    import h5py

    with open_regular(path) as handle, _disable_plugins():
        try:
            with h5py.File(handle, "r") as file:
                for name, problem in _find_problems(file.id):
                    raise DataError(f"{path}: {name!r} {problem}, and was not read; get a file that holds its own data")
                yield file
        except DataError:
            raise
        except Exception as error:  # HDF5 raises any kind of error on damaged files
            raise DataError(f"{path} cannot be read ({error}); {RESTORE}") from error


RESTORE = "restore it or export the dataset again"


def get_group(parent: Any, name: str, where: str) -> Any:
    """Return a group inside a group.

    Raises:
        DataError: the group has none of this name; the sentence begins with ``where``.
    """
    import h5py

    return _get_item(parent, name, where, h5py.Group, "a group")


def get_dataset(parent: Any, name: str, where: str) -> Any:
    """Return a dataset inside a group, its values unread; raises as :func:`get_group`."""
    import h5py

    return _get_item(parent, name, where, h5py.Dataset, "a dataset")


def get_attribute(item: Any, name: str, where: str) -> Any:
    """Return an attribute of a group or dataset, None if it has none of this name.

    Raises:
        DataError: it is of a type that NumPy lacks; the sentence begins with ``where``.
    """
    try:
        return item.attrs.get(name)
    except (TypeError, ValueError, OSError) as error:
        raise DataError(f"{where}: the attribute {name!r} is of a type that cannot be read; {RESTORE}") from error


def _get_item(parent: Any, name: str, where: str, kind: type, title: str) -> Any:
    item = parent.get(name)
    if not isinstance(item, kind):
        got = "nothing" if item is None else "a dataset" if title == "a group" else "a group"
        raise DataError(f"{where}: expected {title} called {name!r}, got {got}; {RESTORE}")
    return item


@contextmanager
def _disable_plugins() -> Iterator[None]:
    """Hide all folders of plugins from HDF5, which also searches them for a file that it cannot open."""
    from h5py import h5pl

    folders = [h5pl.get(i) for i in range(h5pl.size())]
    try:
        while h5pl.size():
            h5pl.remove(0)
        yield
    finally:
        for folder in folders:
            h5pl.append(folder)


def _find_problems(root: Any) -> Iterator[tuple[str, str]]:
    """Visit the objects of a file through its hard links alone, and yield each object that leads out of the file."""
    from h5py import h5g, h5l, h5o

    seen, groups = {h5o.get_info(root).addr}, [(root, "")]
    while groups:
        group, above = groups.pop()
        for name in group:
            where = f"{above}/{name.decode(errors='replace')}"
            kind = group.links.get_info(name).type
            if kind != h5l.TYPE_HARD:
                kinds = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link to another file"}
                yield where, f"is {kinds.get(kind, 'a link of a user-defined kind')}"
                continue
            item = h5o.open(group, name)
            address = h5o.get_info(item).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5g.GroupID):
                groups.append((item, where))
            elif problem := _find_problem(item):
                yield where, problem


def _find_problem(item: Any) -> str | None:
    """Return the reason to refuse an object that is not a group, from its header alone, or None."""
    from h5py import h5d, h5t, h5z

    if not isinstance(item, h5d.DatasetID):
        return "is neither a group nor a dataset"
    layout = item.get_create_plist()
    if layout.get_external_count():
        return "keeps its values in another file"
    if layout.get_layout() not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED):
        return "is a view of other datasets"
    allowed = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32, h5z.FILTER_SZIP, h5z.FILTER_LZF}
    for i in range(layout.get_nfilters()):
        if (number := layout.get_filter(i)[0]) not in allowed:
            return f"needs the filter {number}, which is a plugin or not supported"
    kind = item.get_type()
    if kind.get_class() not in (h5t.INTEGER, h5t.FLOAT, h5t.ENUM, h5t.STRING) or kind.committed():
        return "holds neither numbers nor text"
    if layout.get_layout() == h5d.CHUNKED and math.prod(layout.get_chunk()) * kind.get_size() > LARGEST_CHUNK:
        return f"is packed in pieces of over {LARGEST_CHUNK:,} bytes"
    return None
