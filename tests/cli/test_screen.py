"""Tables on stdout, progress on stderr, and streams and terminals that are not as they should be."""

from __future__ import annotations

import errno
import io
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from selectrl.cli.board import draw_board
from selectrl.cli.screen import NARROWEST, WIDEST, console, draw_bars, say, table
from selectrl.launch.job import Event, Failure

ROWS = [["csro", "max-min mutual information: distance metric and CLUB bound", "2023"], ["blind", "", "2021"]]


def test_a_table_that_fits_has_one_line_a_row(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table("encoders", ["name", "what it does", "year"], ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "encoders",
        "name   what it does                                                year",
        "csro   max-min mutual information: distance metric and CLUB bound  2023",
        "blind                                                              2021",
    ]


def test_the_widest_column_is_folded_at_words_and_long_words_are_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "24")
    table("", ["name", "what it does", "year"], ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "name   what it      year",
        "       does",
        "csro   max-min      2023",
        "       mutual info",
        "       rmation:",
        "       distance",
        "       metric and",
        "       CLUB bound",
        "blind               2021",
    ]


def test_no_terminal_is_too_narrow_or_too_wide(capsys, monkeypatch):
    for width in (*map(str, range(21)), "-5", "", "abc", "1e3", "²", "9" * 40):
        monkeypatch.setenv("COLUMNS", width)
        monkeypatch.setenv("LINES", width)
        table("", ["a", "b"], [["long " * 3, "word " * 200]])
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= WIDEST
        assert NARROWEST <= console().width <= WIDEST
        assert console().height > 0


@pytest.mark.parametrize("width", [*range(41), 10**12])
def test_help_is_short_at_every_width(width, call, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    done = call("train", "--help")
    assert (done.code, done.err) == (0, "")
    assert "Meta-train" in done.out
    assert len(done.out) < 20_000
    assert max(map(len, done.out.splitlines())) <= WIDEST


def test_brackets_of_the_user_are_no_markup(capsys, monkeypatch):
    """A path may hold ``[/x]``, which Rich would take for the end of a style."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, to Rich
    monkeypatch.setenv("COLUMNS", "200")
    with draw_bars() as shown:
        shown.update("runs/[/x]/[red]", 1, 2, "[/note] :smile:", tell=True)
    drawn = capsys.readouterr().err
    assert "runs/[/x]/[red]" in drawn
    assert "[/note] :smile:" in drawn
    experiment = SimpleNamespace(name="[/n]", env_name="[/e]")
    job = SimpleNamespace(folder="[/f]", experiment=experiment, name="[/n] seed 0")
    with draw_board([job]) as lines:
        lines.show(Event(job, "failed", Failure("[/why]")))
    assert "[/e] [/n] seed 0" in capsys.readouterr().err


STREAMS = """
import os, sys
from selectrl.cli.screen import emit, line, say
from selectrl.cli.stdio import open_streams
open_streams()
say("r\\udcff\\u00d7")
line("x\\udcff \\u00d7 0, 1, \\u2026")
emit({"\\u00d7": 1})
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_text_that_a_stream_cannot_carry_is_replaced(encoding):
    done = subprocess.run(
        [sys.executable, "-c", STREAMS], capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding}
    )
    assert done.returncode == 0, done.stderr
    assert b"x? " in done.stdout
    assert done.stderr.startswith(b"selectrl: r?")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["list"], ["train", "--help"], ["trian"]])
@pytest.mark.parametrize(
    ("shell", "code", "sentence"),
    [
        (">/dev/full", 1, "cannot write to standard output: No space left on device"),
        (">&-", 0, ""),
        ("2>&- >&-", 0, ""),
        ("<&-", 0, ""),
    ],
)
def test_streams_that_are_full_or_closed(words, shell, code, sentence):
    if shell == ">/dev/full" and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    line = shlex.join([sys.executable, "-m", "selectrl", *words])
    done = subprocess.run(["sh", "-c", f"{line} {shell}"], capture_output=True, text=True)
    assert done.returncode == (2 if words == ["trian"] else code)
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if words != ["trian"]:
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == bool(sentence)


def test_a_reader_that_has_read_enough_is_no_fault():
    line = f"{shlex.join([sys.executable, '-m', 'selectrl', 'list'])} | head -n 1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("encoders\n", "")


def test_stderr_that_takes_nothing_stops_no_work(monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    say("unheard")
    with draw_bars() as shown:
        shown.update("job", 1, 2, tell=True)


INHERITED = """
import os, subprocess, sys
from selectrl.cli.stdio import open_streams
open_streams()
child = "import os, sys; open(sys.argv[1], 'w').write(str([os.path.realpath(f'/proc/self/fd/{i}') for i in range(3)]))"
subprocess.run([sys.executable, "-c", child, sys.argv[1]])
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("shell", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_processes_started_here_have_three_open_streams_too(shell, tmp_path):
    """Else the first file that a worker opens gets what it prints."""
    line = shlex.join([sys.executable, "-c", INHERITED, str(tmp_path / "streams")])
    subprocess.run(["sh", "-c", f"{line} {shell}"], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    streams = (tmp_path / "streams").read_text()
    assert str(tmp_path) not in streams
    assert "/dev/null" in streams
