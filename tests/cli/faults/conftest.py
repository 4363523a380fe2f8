"""A run that nothing disturbed, the words of its command, and faults that strike at a chosen step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from stress.kill_storm import print_of

from selectrl.trainer.engine import Engine

Call = Callable[..., Any]
STEPS = {"train.steps": 40, "train.checkpoint_every": 10, "train.log_every": 5, "train.test_every": 20}


@pytest.fixture(scope="session")
def words(small: Call) -> list[str]:
    return [*small(STEPS), "--name", "run"]


@pytest.fixture(scope="session")
def whole(call: Call, words: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of what a run leaves behind that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole")
    done = call("train", *words, "--out", out)
    assert done.code == 0, done
    found = print_of(out)
    assert len(found) > 8
    return found


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], AbstractContextManager[None]]:
    """Within the block a function is called at the end of the n-th step that is taken."""

    @contextmanager
    def strike(count: int, fault: Callable[[], object]) -> Iterator[None]:
        taken, step = [0], Engine.step

        def struck(self: Engine, *arguments: Any) -> Any:
            values = step(self, *arguments)
            taken[0] += 1
            if taken[0] == count:
                fault()
            return values

        with monkeypatch.context() as patch:
            patch.setattr(Engine, "step", struck)
            yield
        assert taken[0] >= count

    return strike
