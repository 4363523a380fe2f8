"""The marker ``own_process``: a test that changes its process (limits, umask, signal handlers) runs in one of its own.

Whatever such a test leaves behind, also when it fails, ends with that process. Fixtures that change the process belong
into the test's body, because the process that started it sets up the test's fixtures as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

#: Set in such a process, so that it runs the test itself.
VARIABLE = "SELECTRL_TEST_IN_ITS_OWN_PROCESS"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "own_process: the test changes its process, and runs in one of its own")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a marked test in a new process; return None to let pytest run any other."""
    if VARIABLE in os.environ or pyfuncitem.get_closest_marker("own_process") is None:
        return None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with tempfile.TemporaryDirectory() as folder:
        options = ["-q", "-rs", "-p", "no:cacheprovider", f"--basetemp={Path(folder) / 'tests'}"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, pyfuncitem.nodeid],
            cwd=pyfuncitem.config.rootpath,
            env=environment | {VARIABLE: "1"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    last = done.stdout.rstrip().rpartition("\n")[2]
    if done.returncode == 0 and last.startswith("1 skipped"):
        pytest.skip(done.stdout.partition("SKIPPED")[2].partition("\n")[0])
    if done.returncode or not last.startswith("1 passed"):
        pytest.fail(done.stdout + done.stderr, pytrace=False)
    return True
