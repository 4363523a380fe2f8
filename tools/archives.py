"""Keeps the records of runs as archives: packs folders, and checks and opens what was packed.

Usage: ``python tools/archives.py open FOLDER`` opens every archive of ``results/archives/`` below a folder, and
``python tools/archives.py pack FOLDER...`` packs folders of records, each into the archive of its name;
``make records`` and ``make archive-results`` run these. The same records give the same archive: names are sorted,
and owners, modes and times are constant. ``sha256sum -c SHA256SUMS`` in the folder of the archives checks them without
this program.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import shutil
import stat
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

ARCHIVES = Path(__file__).parents[1] / "results" / "archives"
SUMS = "SHA256SUMS"
SUFFIX = ".tar.xz"


class ArchiveError(Exception):
    """An archive is damaged or missing, or opening it would overwrite records."""


def tar(folder: Path) -> bytes:
    """Return a folder's files as one tar stream that depends on their names and bytes alone.

    Raises:
        ArchiveError: it holds no file, or something that is neither a file nor a folder.
    """
    paths = sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in paths:
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            if not stat.S_ISREG(mode):
                raise ArchiveError(f"{path} is not a regular file; remove it, records are files and folders")
            content = path.read_bytes()
            member = tarfile.TarInfo(f"{folder.resolve().name}/{path.relative_to(folder).as_posix()}")
            member.size = len(content)  # owner 0, mode 644 and time 0 are the defaults
            archive.addfile(member, io.BytesIO(content))
        if not archive.getmembers():
            raise ArchiveError(f"{folder} holds no file; name a folder of records")
    return stream.getvalue()


def checksum(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def read_sums(archives: Path) -> dict[str, str]:
    """Return the checksum of each archive by its file's name.

    Raises:
        ArchiveError: there is no list of checksums.
    """
    try:
        lines = (archives / SUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ArchiveError(f"{archives / SUMS} is missing; the archives are in a clone of the repository") from None
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def pack(folder: Path, archives: Path = ARCHIVES) -> bool:
    """Pack a folder into the archive of its name, and note the checksum; return whether the archive changed.

    Raises:
        ArchiveError: there is such an archive, and the folder was not opened from it as it is now.
    """
    content = tar(folder)
    path = archives / f"{folder.resolve().name}{SUFFIX}"
    sums = read_sums(archives) if (archives / SUMS).exists() else {}
    if path.name in sums:
        packed = _content(path, sums[path.name])
        if packed == content:
            return False
        if _opened(folder) != checksum(packed):
            raise ArchiveError(
                f"{folder} was not opened from the present {path.name}, so records of that archive could be lost; "
                f"move the folder away, open the archive with `make records`, and add the new records"
            )
    archives.mkdir(parents=True, exist_ok=True)
    data = lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)
    path.write_bytes(data)
    sums[path.name] = checksum(data)
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    (archives / SUMS).write_text("".join(lines), encoding="utf-8")
    _note(folder, content)
    return True


def _note(folder: Path, content: bytes) -> None:
    """Write the checksum of a folder's records beside it: those that its archive has."""
    place = folder.resolve()
    place.with_name(f"{place.name}.sha256").write_text(f"{checksum(content)}\n", encoding="utf-8")


def _opened(folder: Path) -> str | None:
    """Return the checksum of the records that a folder had when it was opened or packed, if it was."""
    place = folder.resolve()
    note = place.with_name(f"{place.name}.sha256")
    return note.read_text(encoding="utf-8").strip() if note.exists() else None


def open_all(out: Path, archives: Path = ARCHIVES) -> list[Path]:
    """Check and open every archive below a folder; return the folders of records."""
    return [_open(archives / name, digest, out) for name, digest in sorted(read_sums(archives).items())]


def _open(path: Path, digest: str, out: Path) -> Path:
    """Open an archive, unless its folder has the same records already.

    Records which were changed or added since the folder was opened are never overwritten.
    """
    content = _content(path, digest)
    folder = out / path.name.removesuffix(SUFFIX)
    if folder.exists():
        present = checksum(tar(folder))
        if present not in (checksum(content), _opened(folder)):
            raise ArchiveError(
                f"{folder} holds records that {path.name} lacks, or lacks some; "
                "pack it with `make archive-results`, or remove it"
            )
        if present != checksum(content):
            shutil.rmtree(folder)
    if not folder.exists():
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out) as scratch, tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(scratch, filter="data")
            (Path(scratch) / folder.name).rename(folder)
    _note(folder, content)
    return folder


def _content(path: Path, digest: str) -> bytes:
    """Return the tar stream in an archive whose checksum is as noted."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ArchiveError(f"{path} is missing, which {SUMS} names; restore it with `git checkout`") from None
    if checksum(data) != digest:
        raise ArchiveError(f"{path} is damaged: {SUMS} expects {digest}, not {checksum(data)}; restore it with git")
    return lzma.decompress(data)


def main(arguments: Sequence[str]) -> int:
    """Pack or open; print which archives changed."""
    try:
        match arguments:
            case ["open", out]:
                open_all(Path(out))
            case ["pack", _, *_]:
                for folder in map(Path, arguments[1:]):
                    sys.stdout.write(f"{folder}: {'packed' if pack(folder) else 'unchanged'}\n")
            case _:
                sys.stderr.write("usage: archives.py open FOLDER | archives.py pack FOLDER...\n")
                return 2
    except ArchiveError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
