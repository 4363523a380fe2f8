"""An installed package that is broken in any way is one sentence, and never stops a command."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selectrl import plugins
from selectrl.errors import InputError, Interrupted
from selectrl.gin_edge import SHIPPED
from selectrl.plugins import Plugin
from selectrl.registry import Registry

POINTS = "[selectrl.components]\n{} = {}\n"
UNPRINTABLE = "class Bad(Exception):\n    def __str__(self):\n        raise ValueError\nraise Bad"
BROKEN = {
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt: without a message"),
    "ends": ("raise GeneratorExit('over')", "GeneratorExit: over"),
    "unprintable": (UNPRINTABLE, "Bad: without a message"),
    "unparsable": ("def", "SyntaxError: invalid syntax"),
    "recursive": ("def f():\n    f()\nf()", "RecursionError: maximum recursion depth exceeded"),
    "file_is_no_path": ("__file__, __path__ = 5, []", "TypeError: "),
}
"""What a module may do at its import, and the sentence that names it."""


def install(folder: Path, name: str, *, source: str | None = "", value: str | None = None, points: Any = None) -> None:
    """Write a package that announces a plugin, as an installer would."""
    if source is not None:
        (folder / f"{name}.py").write_text(source + "\n")
    about = folder / f"{name}_parts-2.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-parts\nVersion: 2.1\n")
    text = POINTS.format(name, name if value is None else value) if points is None else points
    (about / "entry_points.txt").write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dict[str, Plugin]]]:
    """Load the plugins of a folder that a test has filled; afterwards their modules are forgotten."""

    def load() -> dict[str, Plugin]:
        monkeypatch.syspath_prepend(tmp_path)
        return {plugin.name: plugin for plugin in plugins.load_plugins.__wrapped__()}

    yield load
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if str(getattr(spec, "origin", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("name", BROKEN)
def test_whatever_a_module_raises_is_one_sentence(name: str, load: Any, tmp_path: Path) -> None:
    source, reason = BROKEN[name]
    install(tmp_path, f"plugin_{name}", source=source)
    problem = load()[f"plugin_{name}"].problem
    assert problem.startswith(f"the plugin 'plugin_{name}' of plugin_{name}-parts 2.1 cannot be loaded ({reason}")
    assert problem.endswith(f"; repair it or uninstall plugin_{name}-parts")


def test_a_module_that_is_missing_is_one_sentence(load: Any, tmp_path: Path) -> None:
    install(tmp_path, "plugin_missing", source=None)
    assert "(ModuleNotFoundError: No module named 'plugin_missing')" in load()["plugin_missing"].problem


@pytest.mark.parametrize("value", ["???", "", ".relative", "a b", "two..dots", "no-module:thing"])
def test_an_entry_point_that_names_no_module_is_one_sentence(value: str, load: Any, tmp_path: Path) -> None:
    install(tmp_path, "plugin_value", source=None, value=value)
    (problem,) = (plugin.problem for plugin in load().values() if "plugin_value" in plugin.distribution)
    assert f"{value!r} does not name a module" in problem or "cannot be read" in problem


@pytest.mark.parametrize("points", [b"no equals sign\n", b"= plugin_points\n", b"\xff = x\n"])
def test_entry_points_that_cannot_be_read_are_one_sentence(points: Any, load: Any, tmp_path: Path) -> None:
    install(tmp_path, "plugin_points", source=None, points=b"[selectrl.components]\n" + points)
    install(tmp_path, "plugin_sound")
    plugins = load()
    assert not plugins["plugin_sound"].problem
    (problem,) = (plugin.problem for plugin in plugins.values() if plugin.problem)
    assert str(tmp_path) in problem or "plugin_points-parts 2.1" in problem


def test_entry_points_of_others_do_not_matter(load: Any, tmp_path: Path) -> None:
    install(tmp_path, "plugin_other", points="[console_scripts]\nno equals sign\n")
    install(tmp_path, "plugin_fine")
    assert not any(plugin.problem for plugin in load().values())


def test_a_package_without_metadata_is_named_by_its_folder(load: Any, tmp_path: Path) -> None:
    install(tmp_path, "plugin_bare")
    (tmp_path / "plugin_bare_parts-2.1.dist-info" / "METADATA").unlink()
    (plugin,) = load().values()
    assert str(tmp_path) in plugin.distribution
    assert "cannot be read" in plugin.problem


def test_the_first_version_on_the_path_counts(load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "later", "plugin_twice", source=None, value="plugin_twice_old")
    monkeypatch.syspath_prepend(tmp_path / "later")
    install(tmp_path, "plugin_twice")
    assert [(name, plugin.problem) for name, plugin in load().items()] == [("plugin_twice", "")]


@pytest.mark.parametrize("source", ["del __file__", "__file__ = None", ""])
def test_a_module_without_a_file_is_loaded(source: str, load: Any, tmp_path: Path) -> None:
    name = f"plugin_nowhere_{len(source)}"
    install(tmp_path, name, source=source)
    assert not load()[name].problem


def test_a_folder_without_init_is_loaded(load: Any, tmp_path: Path) -> None:
    (tmp_path / "plugin_namespace").mkdir()
    install(tmp_path, "plugin_namespace", source=None)
    assert not load()["plugin_namespace"].problem


def test_a_gin_file_that_cannot_be_read_is_named(load: Any, tmp_path: Path) -> None:
    methods = tmp_path / "plugin_gin" / "gin" / "methods"
    methods.mkdir(parents=True)
    (tmp_path / "plugin_gin" / "__init__.py").touch()
    (methods / "theirs.gin").write_bytes(b"# caf\xe9\n")
    install(tmp_path, "plugin_gin", source=None)
    plugin = load()["plugin_gin"]
    assert "theirs.gin" in plugin.problem
    assert plugin.gin is None


def test_filters_and_signal_handlers_that_a_module_sets_are_undone(load: Any, tmp_path: Path) -> None:
    source = "import signal, warnings\nwarnings.simplefilter('ignore')\nsignal.signal(signal.SIGTERM, print)"
    install(tmp_path, "plugin_grabs", source=source)
    before = list(warnings.filters), signal.getsignal(signal.SIGTERM)
    assert not load()["plugin_grabs"].problem
    assert (list(warnings.filters), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_while_a_module_is_imported_ends_the_command(load: Any, tmp_path: Path) -> None:
    install(tmp_path, "plugin_slow", source="import os, signal\nos.kill(os.getpid(), signal.SIGTERM)")
    with pytest.raises(Interrupted):
        load()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"name": "two words"}, "expected letters, digits and _ for a part's name, got 'two words'"),
        ({"name": 5}, "expected letters, digits and _ for a part's name, got 5"),
        ({"name": "naïve"}, "expected letters, digits and _ for a part's name, got 'naïve'"),
        ({"summary": None}, "expected text for paper and summary"),
        ({"paper": 2020}, "expected text for paper and summary"),
    ],
)
def test_a_registration_that_no_command_could_show_is_refused(words: dict[str, Any], expected: str) -> None:
    import attrs

    config = attrs.make_class("Config", [])
    with pytest.raises(InputError, match=expected):
        Registry[..., Any]("encoders").add(
            **{"name": "mine", "config": config, "part": object, "paper": "none", "summary": "one"} | words
        )


METHOD = """
import attrs
from selectrl.encoders.sets.configs import FocalConfig
from selectrl.registry import ENCODERS, Deferred


def fails():
    raise ZeroDivisionError("in a default")


@attrs.frozen(kw_only=True)
class Config(FocalConfig):
    extra: float = attrs.field(factory=fails)


Part = Deferred("selectrl.encoders.sets.focal:FocalEncoder")
ENCODERS.add("rotten", Config, Part, paper="none", summary="cannot be built")
"""


def test_with_every_broken_plugin_installed_the_commands_go_on(tmp_path: Path) -> None:
    """Each is one sentence on stderr; stdout is JSON all the same."""
    for name, (source, _) in BROKEN.items():
        install(tmp_path, f"plugin_{name}", source=source)
    install(tmp_path, "plugin_loud", source="print('hello')")
    install(tmp_path, "plugin_warns", source="import warnings\nwarnings.warn('old sensor', UserWarning)")
    install(tmp_path, "plugin_points", source=None, points="[selectrl.components]\nno equals sign\n")
    install(tmp_path, "plugin_names", source=None, points="[selectrl.components]\nod\x1b[31md = ???\n")
    package = tmp_path / "plugin_rotten"
    (package / "gin" / "methods").mkdir(parents=True)
    (package / "__init__.py").write_text(METHOD)
    (package / "gin" / "methods" / "rotten.gin").write_text(
        (SHIPPED / "methods" / "focal.gin").read_text(encoding="utf-8").replace("@encoders.focal", "@encoders.rotten")
    )
    install(tmp_path, "plugin_rotten", source=None)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    for words in (["list", "--json"], ["train", "--method", "select", "--env", "point_robot", "--dry-run", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "selectrl", *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)
        lines = done.stderr.splitlines()
        assert "hello" in lines
        assert "selectrl: warning: old sensor" in lines
        assert "\x1b" not in done.stderr
        assert "Traceback" not in done.stderr
        problems = [line for line in lines if "cannot be" in line or "ZeroDivisionError" in line]
        assert len(problems) == len(BROKEN) + 2 + (words[0] == "list"), done.stderr
        assert all(line.startswith("selectrl: ") for line in lines if line != "hello")


@pytest.mark.parametrize("points", [b"[selectrl.components]\nx\n", b"\xff\xfe\x00[selectrl"], ids=["half", "not text"])
def test_broken_entry_points_do_not_stop_a_command_that_loads_torch(points: bytes, tmp_path: Path) -> None:
    """Torch looks at the entry points of every package when it is imported, in a process of its own."""
    install(tmp_path, "torn", points=points)
    root = str(Path(plugins.__file__).parents[1])
    env = {name: value for name, value in os.environ.items() if name != "TORCH_DEVICE_BACKEND_AUTOLOAD"}
    env["PYTHONPATH"] = os.pathsep.join((root, str(tmp_path)))
    command = [sys.executable, "-m", "selectrl", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=tmp_path)
    assert "internal error" not in done.stderr
    assert "torch" in json.loads(done.stdout)["versions"]
    assert "repair or uninstall it" in done.stderr


def run(folder: Path, words: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the packages of a folder installed."""
    root = str(Path(plugins.__file__).parents[1])
    env = {name: value for name, value in os.environ.items() if name != "TORCH_DEVICE_BACKEND_AUTOLOAD"}
    env |= {"PYTHONPATH": os.pathsep.join((root, str(folder)))} | variables
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=env, cwd=folder)


LOUD = """
import atexit, ctypes, os, subprocess, sys, threading, time
def shout(when):
    print("print", when)
    sys.__stdout__.write(f"old stream {when}\\n")
    os.write(1, f"number {when}\\n".encode())
    ctypes.CDLL(None).puts(f"C {when}".encode())
    subprocess.run(["echo", "program", when])
shout("import")
atexit.register(shout, "exit")
def later():
    time.sleep(0.02)
    shout("thread")
    threading.main_thread().join()
    shout("end")
threading.Thread(target=later).start()
"""


def test_stdout_holds_one_object_whatever_a_plugin_prints_and_when(tmp_path: Path) -> None:
    install(tmp_path, "plugin_loud", source=LOUD)
    done = run(tmp_path, ["-m", "selectrl", "list", "--json"])
    assert done.returncode == 0
    assert "encoders" in json.loads(done.stdout)["parts"]
    for what in ("print", "old stream", "number", "C", "program"):
        for when in ("import", "thread", "end", "exit"):
            assert f"{what} {when}" in done.stderr


QUIETLY_WRONG = """
import atexit, threading
class Bad:
    def __del__(self):
        raise LookupError("in a destructor")
class Mute(Exception):
    def __str__(self):
        raise ValueError
def fail(error):
    raise error
Bad()
kept = Bad()
atexit.register(fail, ArithmeticError("at the exit"))
for error in (ZeroDivisionError("in a thread"), Mute(), SystemExit(3)):
    thread = threading.Thread(target=fail, args=[error], name="counter")
    thread.start()
    thread.join()
"""


def test_errors_in_threads_and_destructors_are_sentences_that_name_the_plugin(tmp_path: Path) -> None:
    install(tmp_path, "plugin_wrong", source=QUIETLY_WRONG)
    done = run(tmp_path, ["-m", "selectrl", "list", "--json"])
    assert done.returncode == 0
    json.loads(done.stdout)
    lines = done.stderr.splitlines()
    file = tmp_path / "plugin_wrong.py"
    for line, text in zip(
        lines, ("LookupError: in a destructor", "ZeroDivisionError: in a thread", "Mute"), strict=False
    ):
        assert line.startswith("selectrl: warning: ")
        assert f"{text} at {file}:" in line
        assert "of the plugin 'plugin_wrong' of plugin_wrong-parts 2.1; repair that" in line
    assert "ArithmeticError: at the exit" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert len(lines) == 5
    full = run(tmp_path, ["-m", "selectrl", "list", "--json"], SELECTRL_TRACEBACK="1")
    assert "Traceback" in full.stderr


@pytest.mark.parametrize("points", [b"[their.things]\nx\n", b"\xff\xfe\x00[selectrl"], ids=["half", "not text"])
def test_broken_entry_points_do_not_stop_python_that_loads_torch(points: bytes, tmp_path: Path) -> None:
    install(tmp_path, "torn", points=points)
    alone = run(tmp_path, ["-c", "import torch"])
    code = "import selectrl, os, torch; print(os.environ.get('TORCH_DEVICE_BACKEND_AUTOLOAD'))"
    done = run(tmp_path, ["-c", code])
    assert alone.returncode == 1  # else this test says nothing
    assert (done.returncode, done.stdout) == (0, "None\n")
    assert f"the entry points of torn-parts in {tmp_path} cannot be read" in done.stderr
    assert "repair or uninstall it" in done.stderr


def test_torch_loads_the_backends_of_others_as_it_does_without_us(tmp_path: Path) -> None:
    points = "[torch.backends]\ntheirs = their_backend:load\n"
    install(tmp_path, "their_backend", source="def load():\n    print('loaded')", points=points)
    done = run(tmp_path, ["-W", "error", "-c", "import selectrl, torch"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "loaded\n", "")


def test_a_backend_of_figures_that_is_not_installed_stops_no_command(tmp_path: Path) -> None:
    code = "import selectrl.cli, matplotlib; print(matplotlib.get_backend())"
    done = run(tmp_path, ["-c", code], MPLBACKEND="module://not_installed")
    assert (done.returncode, done.stdout.lower()) == (0, "agg\n")


@pytest.fixture
def fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Return the fingerprint of a class of a package whose files a test changes, as a new process would."""
    package = tmp_path / "covered"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("class Part: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("covered")

    def fingerprint() -> str:
        plugins._digest.cache_clear()
        return plugins.fingerprint(module.Part) or ""

    yield fingerprint
    plugins._digest.cache_clear()
    del sys.modules["covered"]


@pytest.mark.parametrize("name", ["other.py", "inner/table.csv", "weights.npz", "no_suffix", "inner/kernel.so"])
def test_every_file_of_a_package_is_in_its_fingerprint(name: str, fingerprint: Any, tmp_path: Path) -> None:
    path, seen = tmp_path / "covered" / name, [fingerprint()]
    for content in (b"", b"one", b"two"):
        path.write_bytes(content)
        seen.append(fingerprint())
    assert len({*seen}) == 4
    assert all(plugins.is_changed(before, seen[0]) for before in seen[1:])


@pytest.mark.parametrize(
    "name", ["__pycache__/a.cpython-312.pyc", "b.pyc", ".hidden", ".git/HEAD", "inner/.swap.py.swp", "gin/mine.gin"]
)
def test_what_no_result_depends_on_is_not_in_it(name: str, fingerprint: Any, tmp_path: Path) -> None:
    before = fingerprint()
    path = tmp_path / "covered" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"one")
    assert fingerprint() == before


def test_a_fingerprint_of_another_scheme_does_not_tell(fingerprint: Any) -> None:
    """Runs of an earlier version recorded one of the source files alone, without a scheme."""
    today = fingerprint()
    assert today.startswith(f"{plugins.SCHEME}:")
    assert not plugins.is_changed(today, today)
    assert plugins.is_changed(f"{plugins.SCHEME}:0", today)
    for recorded in ("0f1e2d", "1:0f1e2d", None, 5, ["2:0"]):
        assert not plugins.is_changed(recorded, today)
