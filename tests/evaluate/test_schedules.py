"""The published schedules, counted by hand: who acts when, what the belief has seen, what is scored."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle, repeat

import pytest

from selectrl.errors import InputError
from selectrl.evaluate.schedules import PUBLISHED, Episode, Read, Sizes, Stored, published

POINT, ANT, OTHERS = Sizes(400, 20, 1), Sizes(800, 200, 2), Sizes(600, 200, 2)


class Trace:
    """What a schedule does in a world whose collecting and scored episodes take the given steps."""

    def __init__(self, name: str, sizes: Sizes, collecting: Iterable[int], scoring: Iterable[int] = ()) -> None:
        self.collected = self.random = self.policy = self.episodes = self.blocks = self.scored_steps = 0
        self.in_context: list[int] = []  # steps that the belief has read before each scored episode
        read, lengths = 0, {True: iter(collecting), False: iter(scoring)}
        schedule, sent = PUBLISHED[name].schedule(sizes), None
        while True:
            try:
                event = schedule.send(sent) if sent is not None else next(schedule)
            except StopIteration:
                break
            sent = 0
            if isinstance(event, Read):
                read = self.collected + self.blocks * sizes.horizon
            elif isinstance(event, Stored):
                self.blocks += 1
            else:
                assert isinstance(event, Episode)
                sent = next(lengths[event.collects])
                if event.scored:
                    self.in_context.append(read)
                if event.collects:
                    self.episodes += 1
                    self.collected += sent
                    randoms = max(0, min(sent, sizes.budget // 2 - event.start))
                    self.random, self.policy = self.random + randoms, self.policy + sent - randoms
                else:
                    self.scored_steps += sent
        self.unread = self.collected + self.blocks * sizes.horizon - self.in_context[-1]


@pytest.mark.parametrize(
    ("sizes", "collections", "random", "last", "wasted"),
    [(OTHERS, 3, 300, 400, 200), (ANT, 4, 400, 600, 200), (POINT, 20, 200, 380, 20)],
)
def test_csros_non_prior_schedule_where_nothing_ends_early(
    sizes: Sizes, collections: int, random: int, last: int, wasted: int
) -> None:
    """CSRO's loop: each counter starts at the scored steps, so that a round's own steps are counted in it alone."""
    trace = Trace("non_prior", sizes, repeat(sizes.horizon), repeat(sizes.horizon))
    assert (trace.episodes, len(trace.in_context)) == (collections, collections)
    assert (trace.collected, trace.scored_steps) == (sizes.budget, sizes.budget)
    assert (trace.random, trace.policy) == (random, sizes.budget - random)
    assert (trace.in_context[-1], trace.unread) == (last, wasted)
    gated = [0] * sizes.gate + [sizes.horizon * n for n in range(sizes.gate, collections)]
    assert trace.in_context == gated


@pytest.mark.parametrize(
    ("collecting", "scoring", "rounds", "collected", "random", "blind", "last"),
    [(30, 50, 12, 2520, 1260, 8, 2310), (30, 150, 4, 840, 420, 3, 630)],
)
def test_agents_that_fall_get_more_rounds_and_more_context(
    collecting: int, scoring: int, rounds: int, collected: int, random: int, blind: int, last: int
) -> None:
    """30-step episodes fill a block of 200 in 7, 210 steps; n grows by the scored steps alone, to 600."""
    trace = Trace("non_prior", OTHERS, repeat(collecting), repeat(scoring))
    assert (len(trace.in_context), trace.collected, trace.random) == (rounds, collected, random)
    assert trace.in_context.count(0) == blind
    assert (trace.in_context[-1], trace.unread) == (last, 7 * collecting)


def test_the_counter_of_random_steps_starts_anew_in_each_short_episode() -> None:
    """At n = 200 of 600 an episode's first 100 steps are random: of one episode of 200, of both episodes of 150."""
    whole = Trace("non_prior", OTHERS, repeat(200), repeat(200))
    short = Trace("non_prior", OTHERS, cycle([150]), repeat(200))
    assert (whole.random, short.random) == (200 + 100, 300 + 200)


def test_select_goes_csros_rounds() -> None:
    assert PUBLISHED["proximal"].schedule is PUBLISHED["non_prior"].schedule
    assert any(quirk.startswith("assumed: ") for quirk in PUBLISHED["proximal"].quirks)
    assert not any("random while" in quirk for quirk in PUBLISHED["proximal"].quirks)


@pytest.mark.parametrize(("sizes", "episodes", "last"), [(OTHERS, 3, 400), (ANT, 4, 600), (POINT, 20, 380)])
def test_prior_context_is_the_scored_episodes(sizes: Sizes, episodes: int, last: int) -> None:
    for name in ("online", "posterior"):
        trace = Trace(name, sizes, repeat(sizes.horizon))
        assert (trace.episodes, trace.collected, trace.scored_steps) == (episodes, sizes.budget, 0)
        assert (len(trace.in_context), trace.in_context[-1], trace.unread) == (episodes, last, sizes.horizon)
        assert trace.in_context.count(0) == sizes.gate


def test_csros_gate_counts_steps_and_pearls_counts_episodes() -> None:
    falls = [50, 150, 150, 50, 200]  # 600 steps
    assert Trace("online", OTHERS, iter(falls)).in_context == [0, 0, 0, 0, 400]
    assert Trace("posterior", OTHERS, iter(falls)).in_context == [0, 0, 200, 350, 400]


@pytest.mark.parametrize(("sizes", "episodes", "last"), [(OTHERS, 3, 600), (ANT, 4, 800), (POINT, 20, 400)])
def test_offline_context_grows_by_a_horizon_of_rows_before_each_episode(sizes: Sizes, episodes: int, last: int) -> None:
    trace = Trace("rows", sizes, (), repeat(sizes.horizon))
    assert trace.in_context == [sizes.horizon * n for n in range(1, episodes + 1)]
    assert (trace.in_context[-1], trace.unread, trace.collected) == (last, 0, 0)


def test_corro_sees_one_trajectory_and_borel_two_episodes_whatever_the_budget() -> None:
    for sizes in (OTHERS, ANT, POINT):
        corro = Trace("episodes", sizes, (), repeat(sizes.horizon))
        assert (corro.in_context, corro.scored_steps) == ([sizes.horizon], sizes.horizon)
        borel = Trace("belief", sizes, repeat(sizes.horizon))
        assert (borel.episodes, len(borel.in_context), borel.collected) == (2, 2, 2 * sizes.horizon)


def test_a_collector_without_a_published_schedule_is_refused() -> None:
    with pytest.raises(InputError, match=r"none is published for the collector 'annealed'; .*equal_budget"):
        published("annealed")
