"""Signals: held back until the block's end, then raised again; what was ignored stays ignored."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from selectrl.errors import Interrupted
from selectrl.stopping import SIGNALS, defer_signals, raise_on_signal


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Every test leaves the handlers as it found them."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143), (1, 129), (10, 138), (12, 140)])
def test_a_signal_ends_the_block_where_it_finds_it(number: int, code: int) -> None:
    reached = []

    def work() -> None:
        with raise_on_signal():
            signal.raise_signal(number)
            reached.append("never")

    with pytest.raises(Interrupted) as stop:
        work()
    assert (stop.value.exit_code, reached) == (code, [])


@pytest.mark.parametrize("number", SIGNALS)
def test_a_deferred_signal_waits_for_the_end_of_the_block(number: int) -> None:
    steps: list[object] = []

    def work() -> None:
        with raise_on_signal(), defer_signals() as stopping:
            for step in range(9):
                steps.append(step)
                if step == 4:
                    signal.raise_signal(number)
                if stopping():
                    steps.append("saved")
                    break

    with pytest.raises(Interrupted) as stop:
        work()
    assert steps == [0, 1, 2, 3, 4, "saved"]
    assert stop.value.exit_code == 128 + number


def test_a_second_ctrl_c_does_not_wait_and_a_second_sigterm_does() -> None:
    done = []

    def work() -> None:
        with raise_on_signal(), defer_signals():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            done.append("patient")
            signal.raise_signal(signal.SIGINT)
            done.append("never")

    with pytest.raises(Interrupted) as stop:
        work()
    assert (done, stop.value.exit_code) == (["patient"], 130)


@pytest.mark.own_process
def test_whoever_handled_it_before_gets_it_and_the_work_ends_all_the_same() -> None:
    """As submitit's handler does, which queues a task again, and is deaf to SIGTERM."""
    heard: list[object] = []

    def work() -> None:
        with defer_signals():
            signal.raise_signal(signal.SIGUSR2)
            heard.append("saved")

    before = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    with pytest.raises(Interrupted):
        work()
    assert heard == ["saved", signal.SIGUSR2]
    signal.signal(signal.SIGUSR2, before)


@pytest.mark.own_process
def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with raise_on_signal(), defer_signals() as stopping:
        signal.raise_signal(signal.SIGINT)
        assert not stopping()
    signal.signal(signal.SIGINT, before)


def test_an_error_is_not_covered_by_a_signal() -> None:
    def work() -> float:
        with defer_signals():
            signal.raise_signal(signal.SIGTERM)
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        work()


def test_outside_the_main_thread_nothing_changes() -> None:
    seen = []

    def work() -> None:
        with raise_on_signal(), defer_signals() as stopping:
            seen.append(stopping())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
