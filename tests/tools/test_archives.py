"""Archives of records: the same records give the same bytes, and no record is lost or damaged without a message."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest
from tool_programs import load_tool

archives = load_tool("archives")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Records of two runs."""
    for seed in range(2):
        below = tmp_path / "made" / "point_robot" / f"seed{seed}"
        below.mkdir(parents=True)
        (below / "experiment.json").write_text(f'{{"seed": {seed}}}')
    return tmp_path / "made" / "point_robot"


@pytest.fixture
def store(tmp_path: Path, folder: Path) -> Path:
    """Archives that hold the records."""
    assert archives.pack(folder, tmp_path / "archives")
    return tmp_path / "archives"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestPacking:
    def test_gives_the_same_bytes_whatever_the_times_modes_and_order(self, folder, store, tmp_path):
        first = (store / "point_robot.tar.xz").read_bytes()
        copy = tmp_path / "copy" / "point_robot"
        for seed in (1, 0):  # made in the other order
            shutil.copytree(folder / f"seed{seed}", copy / f"seed{seed}")
        (copy / "seed1" / "experiment.json").chmod(0o600)
        os.utime(copy / "seed0" / "experiment.json", (1, 1))
        assert archives.pack(copy, tmp_path / "others")
        assert (tmp_path / "others" / "point_robot.tar.xz").read_bytes() == first

    def test_names_no_user_and_no_time(self, store):
        with tarfile.open(store / "point_robot.tar.xz") as archive:
            members = archive.getmembers()
        assert [member.name for member in members] == [f"point_robot/seed{n}/experiment.json" for n in (0, 1)]
        assert {(m.uid, m.gid, m.uname, m.gname, m.mtime, m.mode) for m in members} == {(0, 0, "", "", 0, 0o644)}

    def test_leaves_an_archive_of_the_same_records_alone(self, folder, store):
        path = store / "point_robot.tar.xz"
        os.utime(path, (1, 1))
        assert not archives.pack(folder, store)
        assert path.stat().st_mtime == 1

    def test_keeps_the_checksums_of_other_archives(self, folder, store):
        other = folder.with_name("hopper")
        shutil.copytree(folder, other)
        before = archives.read_sums(store)
        archives.pack(other, store)
        assert archives.read_sums(store) == before | {"hopper.tar.xz": archives.read_sums(store)["hopper.tar.xz"]}

    def test_adds_records_to_an_opened_archive(self, folder, store, tmp_path):
        (opened,) = archives.open_all(tmp_path / "opened", store)
        for seed in (2, 3):
            shutil.copytree(folder / "seed0", opened / f"seed{seed}")
            assert archives.pack(opened, store)
        (again,) = archives.open_all(tmp_path / "again", store)
        assert content(again) == content(opened)
        assert len(content(again)) == 4

    def test_refuses_records_that_were_opened_from_an_older_archive(self, folder, store, tmp_path):
        (opened,) = archives.open_all(tmp_path / "opened", store)
        (folder / "seed1" / "metrics.jsonl").write_text("{}\n")
        assert archives.pack(folder, store)
        before = (store / "point_robot.tar.xz").read_bytes()
        with pytest.raises(archives.ArchiveError, match=r"not opened from the present point_robot\.tar\.xz"):
            archives.pack(opened, store)
        assert (store / "point_robot.tar.xz").read_bytes() == before

    def test_refuses_other_records_of_the_same_name(self, store, tmp_path):
        other = tmp_path / "other" / "point_robot"
        other.mkdir(parents=True)
        (other / "a.json").write_text("{}")
        with pytest.raises(archives.ArchiveError, match="not opened from the present"):
            archives.pack(other, store)

    def test_refuses_links(self, folder, store):
        (folder / "link").symlink_to("seed0")
        with pytest.raises(archives.ArchiveError, match="link is not a regular file"):
            archives.pack(folder, store)

    def test_refuses_a_folder_without_files(self, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(archives.ArchiveError, match="holds no file"):
            archives.pack(tmp_path / "empty", tmp_path / "archives")


class TestOpening:
    def test_gives_back_every_file(self, folder, store, tmp_path):
        assert archives.open_all(tmp_path / "opened", store) == [tmp_path / "opened" / "point_robot"]
        assert content(tmp_path / "opened" / "point_robot") == content(folder)

    def test_again_changes_nothing(self, store, tmp_path):
        archives.open_all(tmp_path / "opened", store)
        before = (tmp_path / "opened" / "point_robot" / "seed0").stat().st_mtime_ns
        archives.open_all(tmp_path / "opened", store)
        assert (tmp_path / "opened" / "point_robot" / "seed0").stat().st_mtime_ns == before

    def test_replaces_records_of_an_older_archive(self, folder, store, tmp_path):
        archives.open_all(tmp_path / "opened", store)
        (folder / "seed0" / "metrics.jsonl").write_text("{}\n")
        assert archives.pack(folder, store)
        archives.open_all(tmp_path / "opened", store)
        assert content(tmp_path / "opened" / "point_robot") == content(folder)

    @pytest.mark.parametrize("change", ["added", "changed", "removed"])
    def test_never_overwrites_records_that_were_changed_since(self, store, tmp_path, change):
        archives.open_all(tmp_path / "opened", store)
        run = tmp_path / "opened" / "point_robot" / "seed0"
        if change == "removed":
            shutil.rmtree(run)
        else:
            (run / ("new.json" if change == "added" else "experiment.json")).write_text("{}")
        before = content(tmp_path / "opened" / "point_robot")
        with pytest.raises(archives.ArchiveError, match="make archive-results"):
            archives.open_all(tmp_path / "opened", store)
        assert content(tmp_path / "opened" / "point_robot") == before

    def test_of_a_damaged_archive_opens_nothing(self, store, tmp_path):
        path = store / "point_robot.tar.xz"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(archives.ArchiveError, match=r"point_robot\.tar\.xz is damaged"):
            archives.open_all(tmp_path / "opened", store)
        assert not (tmp_path / "opened").exists()

    def test_of_a_missing_archive_names_it(self, store, tmp_path):
        (store / "point_robot.tar.xz").unlink()
        with pytest.raises(archives.ArchiveError, match=r"point_robot\.tar\.xz is missing"):
            archives.open_all(tmp_path / "opened", store)


def test_messages_are_on_standard_error(tmp_path, capsys):
    assert archives.main(["pack", str(tmp_path)]) == 1
    assert "holds no file" in capsys.readouterr().err
    assert archives.main(["unpack"]) == 2
    assert "usage" in capsys.readouterr().err


def test_the_shipped_checksums_name_the_shipped_archives(records):
    """The fixture has checked and opened each of them."""
    sums = archives.read_sums(archives.ARCHIVES)
    assert {path.name for path in archives.ARCHIVES.iterdir()} == sums.keys() | {archives.SUMS}
    assert {path.name for path in records.iterdir() if path.is_dir()} == {name.partition(".")[0] for name in sums}
