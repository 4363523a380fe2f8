"""For the whole suite: one thread, run-time shape checks of the maths, and the helpers of support/ importable."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE / "support")]  # test modules are imported by path and see no sibling otherwise
torch.set_num_threads(1)
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:  # as a shell's background jobs inherit it, and commands under test
        signal.signal(number, usual)

install_import_hook("selectrl.functional", "beartype.beartype")  # test_shapes.py tells if it came too late

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("suite")

pytest_plugins = ["commands", "own_process", "privileges"]  # fixtures that several rooms share, and a marker


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded runs of results/archives/, opened; only the repository has them."""
    from tool_programs import load_tool

    if (HERE.parent / "PKG-INFO").exists():
        pytest.skip("a source distribution has no records of runs")
    out = tmp_path_factory.mktemp("records")
    load_tool("archives").open_all(out)
    return out
