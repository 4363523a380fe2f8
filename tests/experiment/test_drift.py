"""The warning that data and meta-tests do not share a simulator."""

from __future__ import annotations

import multiprocessing
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from selectrl.errors import DriftWarning, InputError
from selectrl.experiment import drift


@pytest.fixture
def made_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every dataset was made with an older simulator."""
    manifest = SimpleNamespace(drift=lambda: "mujoco 1 (installed: 3)")
    monkeypatch.setattr(drift, "read_manifest", lambda path: manifest)


@pytest.mark.usefixtures("made_elsewhere")
def test_names_the_folder_and_both_versions() -> None:
    with pytest.warns(DriftWarning, match=r"the data in here were made with mujoco 1 \(installed: 3\)"):
        drift.warn_of_drift(Path("here"))


@pytest.mark.usefixtures("made_elsewhere")
def test_is_silent_in_a_worker_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(name="the command"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drift.warn_of_drift(Path("here"))


@pytest.mark.parametrize("refuses", [True, False])
def test_is_silent_where_nothing_differs_or_nothing_can_be_read(refuses: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> SimpleNamespace:
        if refuses:
            raise InputError(f"{path} is damaged")
        return SimpleNamespace(drift=lambda: None)

    monkeypatch.setattr(drift, "read_manifest", read)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drift.warn_of_drift(Path("here"))
