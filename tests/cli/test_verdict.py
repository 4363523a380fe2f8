"""The sentence of every error: files, memory, other people's code, our own bugs, and signals at the first imports."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import selectrl
from selectrl import citations
from selectrl.errors import InputError, RunError
from selectrl.launch import verdict as module
from selectrl.launch.verdict import describe_failure, explain_errors

Call = Callable[..., Any]


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission denied; ask its owner", 2),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), "File name too long; give a shorter name", 2),
        (OSError(errno.ENOSPC, "No space left on device"), "a file: No space left on device; free the disk", 2),
        (
            FileNotFoundError(errno.ENOENT, "No such file", b"raw\xff"),
            "raw?: No such file; check that its folder still exists",
            2,
        ),
        (MemoryError(), "memory ran out (MemoryError)", 1),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), "memory ran out", 1),
        (ImportError("x.so: failed to map segment from shared object"), "memory ran out", 1),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory ran out", 1),
    ],
)
def test_what_can_be_foreseen_has_a_remedy(error: Exception, sentence: str, code: int) -> None:
    assert sentence in describe_failure(error)[0]
    assert describe_failure(error)[1] == code
    with pytest.raises(InputError if code == 2 else RunError, match=r".*; ") as caught, explain_errors():
        raise error
    assert caught.value.__cause__ is error


def raised(source: str, name: str, file: Path) -> Exception:
    """Run a text as a module of that name and file, and return what it raises."""
    file.write_text(source)
    try:
        exec(compile(source, str(file), "exec"), {"__name__": name})
    except Exception as error:
        return error
    raise AssertionError


def test_a_bug_of_ours_names_file_and_line_and_where_to_report_it(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        citations.comment_of(5)  # type: ignore[arg-type]
    except Exception as error:
        monkeypatch.setattr(module, "LIBRARIES", (*module.LIBRARIES, str(Path(__file__).parents[2] / "tests")))
        sentence, code = describe_failure(error)
    assert code == 1
    assert sentence.startswith(f"internal error at {Path(selectrl.__file__).parent}/")
    assert "report this sentence and the output of `selectrl doctor` to the authors" in sentence
    assert "SELECTRL_TRACEBACK=1" in sentence


def test_an_error_in_a_plugin_names_the_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the error arises deeper, in a library that the plugin calls."""
    monkeypatch.setattr(module, "describe_plugin", lambda name: "the plugin 'p' of p 1.0" if name == "p.loss" else None)
    file = tmp_path / "loss.py"
    sentence, code = describe_failure(raised("import json\n\njson.loads('{')\n", "p.loss", file))
    assert code == 1
    assert sentence.startswith("JSONDecodeError: ")
    assert f" at {file}:3 of the plugin 'p' of p 1.0; repair that" in sentence
    assert "internal error" not in sentence


def test_an_error_in_code_of_the_user_names_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    sentence, _ = describe_failure(raised("\n1 / 0\n", "mine", file))
    assert f"ZeroDivisionError: division by zero at {file}:2, which is not part of selectrl" in sentence


def test_the_python_interface_says_what_the_command_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 6 GiB")

    monkeypatch.setattr("selectrl.experiment.training.train", full)
    experiment = selectrl.compose("select", "point_robot", profile="laptop")
    with pytest.raises(RunError, match="memory ran out \\(Unable to allocate 6 GiB\\)"):
        selectrl.train(experiment, out=tmp_path)


COMMANDS = {
    "train": ("train", "closed/mine.gin", "--method", "select", "--env", "point_robot"),
    "train into": ("train", "--method", "select", "--env", "point_robot", "--data", "DATA", "--out", "closed/runs"),
    "train from": ("train", "--method", "select", "--env", "point_robot", "--data", "closed/data"),
    "collect": ("collect", "--env", "point_robot", "--data", "closed/data"),
    "evaluate": ("evaluate", "closed/runs"),
    "render": ("render", "closed/runs"),
    "report": ("report", "closed/runs"),
    "compare": ("compare", "--env", "point_robot", "--methods", "select,csro", "--data", "closed/data"),
    "compare tuned": ("compare", "--env", "point_robot", "--methods", "select,csro", "--tuned", "closed/tuned"),
    "ablate": ("ablate", "closed/grid.gin", "--method", "select", "--env", "point_robot"),
    "tune": ("tune", "closed/space.gin", "--method", "select", "--env", "point_robot"),
    "tune into": ("tune", "--method", "select", "--env", "point_robot", "--out", "closed/tuned"),
    "data info": ("data", "info", "closed/data"),
    "data verify": ("data", "verify", "closed/data"),
    "import-csro": ("data", "import-csro", "closed/csro", "--env", "point_robot"),
    "import-minari": ("data", "import-minari", "aa", "--root", "closed/minari"),
    "export-minari": ("data", "export-minari", "closed/data", "--namespace", "aa"),
    "cite": ("cite", "closed/run"),
}
#: Runs commands in one process without the superuser's right to open everything; prints how each ended.
WITHOUT_RIGHTS = """
import ctypes, io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from selectrl.cli.app import run
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None)
head, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
if libc.capget(head, data) == 0:
    data[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    libc.capset(head, data)
if os.access("closed", os.R_OK, effective_ids=True):
    sys.exit("everything can be opened")
found = {}
for name, words in json.load(sys.stdin).items():
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(words)
    found[name] = [code, out.getvalue(), err.getvalue()]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory, data: Path) -> dict[str, list[Any]]:
    """Return how each command ends on a folder that may not be opened, and on a name that is too long."""
    import json

    work = tmp_path_factory.mktemp("foreign")
    closed = work / "closed"
    closed.mkdir()
    closed.chmod(0)
    words = {name: [word.replace("DATA", str(data)) for word in command] for name, command in COMMANDS.items()}
    words |= {f"{name}, too long": [w.replace("closed", 300 * "x") for w in command] for name, command in words.items()}
    try:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_RIGHTS, work],
            input=json.dumps(words),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        closed.chmod(0o700)
    if done.returncode:
        pytest.skip(f"the superuser's rights cannot be given up here: {done.stderr[-300:]}")
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("case", [*COMMANDS, *(f"{name}, too long" for name in COMMANDS)])
def test_what_another_owns_and_names_too_long_are_refused(case: str, refusals: dict[str, list[Any]]) -> None:
    code, _, err = refusals[case]
    assert code == 2, err
    assert "internal error" not in err
    assert "Traceback" not in err
    sentences = [line for line in err.splitlines() if line.startswith("selectrl: ")]
    assert sentences == err.splitlines()[-1:]
    assert "closed" in sentences[0] or "xxx" in sentences[0] or "--" in sentences[0]


AT_IMPORT = """
import os, signal, sys

class Bomb:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["BOMB"]:
            sys.meta_path.remove(self)
            signal.raise_signal(int(os.environ["SIGNAL"]))

sys.meta_path.insert(0, Bomb())
signal.signal(signal.SIGINT, signal.default_int_handler)
from selectrl.cli import main
sys.argv = ["selectrl", "list"]
main()
"""


@pytest.mark.parametrize("bomb", ["selectrl.stopping", "selectrl.errors", "selectrl.cli.screen", "selectrl.cli.app"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_first_imports_is_no_traceback(bomb: str, number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(AT_IMPORT)],
        env=os.environ | {"BOMB": bomb, "SIGNAL": str(int(number))},
        capture_output=True,
        text=True,
        check=False,
    )
    early = bomb in ("selectrl.stopping", "selectrl.errors")
    assert done.returncode == (-number if early else 128 + number), done.stderr  # a shell says 130 or 143 of both
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_little_is_imported_before_signals_are_handled() -> None:
    """Python's own start aside, for a Ctrl-C there ends in a raw traceback."""
    code = "import os, sys; before = set(sys.modules); import selectrl.cli; print(*set(sys.modules) - before)"
    package = str(Path(selectrl.__file__).parents[1])  # without the site's paths
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": package}, capture_output=True, text=True, check=True
    )
    ours = {"selectrl", "selectrl.after_import", "selectrl.version", "selectrl.cli"}
    signatures = {"selectrl.api", "selectrl.api.comparisons", "selectrl.api.experiments", "selectrl.api.runs"}
    empty = {"selectrl.compare", "selectrl.evaluate", "selectrl.report"}  # rooms whose name a function has, too
    assert set(done.stdout.split()) <= ours | signatures | empty | {"__future__"}


AT_EXIT = """
import atexit, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
atexit.register(signal.raise_signal, signal.SIGINT)
from selectrl.cli import main
sys.argv = ["selectrl", "list"]
main()
"""


def test_an_interrupt_after_the_work_is_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""
    assert "encoders" in done.stdout
