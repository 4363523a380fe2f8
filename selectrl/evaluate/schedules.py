"""The published meta-test protocols as schedules: which episode comes next, its purpose, when the belief is read.

A schedule is a generator for one world. It yields the next event and is sent the steps that it took, so that it
reads like the loop of the code that it restates, and a test can drive it with made-up lengths::

    schedule = non_prior(Sizes(budget=600, horizon=200, gate=2))
    event = next(schedule)  # Episode(collects=True, scored=False, start=0)
    event = schedule.send(200)  # Episode(collects=False, scored=True, start=0)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import NamedTuple, TypeAlias

import attrs

from selectrl.errors import InputError, suggest


class Episode(NamedTuple):
    """One episode, to its end.

    Attributes:
        collects: the collector acts and the transitions enter the context; else the policy's mode acts under the
            mean belief.
        scored: its return is one of the reported ones.
        start: steps of the budget that the collector counts as spent at its first step.
    """

    collects: bool
    scored: bool
    start: int = 0


class Stored(NamedTuple):
    """One horizon's worth of the unseen task's stored data enters the context; takes no steps."""


class Read(NamedTuple):
    """The belief is read from the context so far; takes no steps."""


class Sizes(NamedTuple):
    """The numbers of a schedule.

    Attributes:
        budget: S, environment steps.
        horizon: T, steps after which an episode times out.
        gate: E, episodes' worth of steps before the belief is first read.
    """

    budget: int
    horizon: int
    gate: int


Event: TypeAlias = Episode | Stored | Read
Schedule: TypeAlias = Generator[Event, int, None]


def non_prior(sizes: Sizes) -> Schedule:
    """CSRO's schedule: rounds of collection and a scored episode, until scored steps alone have spent the budget."""
    scored = 0
    while scored < sizes.budget:
        collected = 0
        while collected < sizes.horizon:
            collected += yield Episode(collects=True, scored=False, start=scored)
        scored += yield Episode(collects=False, scored=True)
        if scored >= sizes.gate * sizes.horizon:
            yield Read()


def prior(sizes: Sizes) -> Schedule:
    """CSRO's online schedule: scored episodes are the context, and the belief is read once enough steps are in it."""
    spent = 0
    while spent < sizes.budget:
        spent += yield Episode(collects=True, scored=True, start=spent)
        if spent >= sizes.gate * sizes.horizon:
            yield Read()


def posterior(sizes: Sizes) -> Schedule:
    """PEARL's schedule: like :func:`prior`, but the gate counts episodes of any length."""
    spent = episodes = 0
    while spent < sizes.budget:
        spent += yield Episode(collects=True, scored=True, start=spent)
        episodes += 1
        if episodes >= sizes.gate:
            yield Read()


def stored_rows(sizes: Sizes) -> Schedule:
    """FOCAL's and CSRO's offline schedule: the context grows by a horizon of stored rows before each scored episode."""
    scored = 0
    while scored < sizes.budget:
        yield Stored()
        yield Read()
        scored += yield Episode(collects=False, scored=True)


def stored_episode(sizes: Sizes) -> Schedule:
    """CORRO's schedule: one stored trajectory, one scored episode."""
    yield Stored()
    yield Read()
    yield Episode(collects=False, scored=True)


def filtering(sizes: Sizes) -> Schedule:
    """BOReL's schedule: two episodes, scored both, under a belief that runs through them."""
    spent = yield Episode(collects=True, scored=True)
    yield Episode(collects=True, scored=True, start=spent)


@attrs.frozen
class Published:
    """One published protocol.

    Attributes:
        schedule: its schedule for one world.
        quirks: sentences that a reader of its figures needs.
    """

    schedule: Callable[[Sizes], Schedule]
    quirks: tuple[str, ...]


ROUNDS = (
    "the budget counts scored steps, so about twice as many are taken",
    "the belief is first read when the scored steps reach the gate, whatever was collected before; until then the "
    "policy is scored without context",
    "episodes that end early make more rounds, each with at least a horizon of context more",
    "the last collection and the last reading reach no reported return",
)
LAST = "the reported return is that of the last scored episode"
SAME = "scored episodes are the context, so exploring and scoring share the budget"
OFFLINE = "context is stored data of the unseen task, which no method has in practice"

#: By the collector's registered name; a collector of stored data goes by what it draws.
PUBLISHED: Mapping[str, Published] = {
    "non_prior": Published(
        non_prior,
        (
            "CSRO's non-prior schedule",
            *ROUNDS,
            "actions are random while the counter is below half of the budget, and the counter starts anew at the "
            "scored steps in each episode: agents that fall get more random steps",
            LAST,
        ),
    ),
    "proximal": Published(
        non_prior,
        (
            "assumed: SELECT publishes no schedule; this is CSRO's with Eq. 4 in place of random actions",
            *ROUNDS,
            LAST,
        ),
    ),
    "online": Published(
        prior,
        (
            "CSRO's prior-context schedule, in which it tests FOCAL too",
            SAME,
            "the belief is first read when the context reaches the gate; before it episodes repeat each other where "
            "starts and dynamics are deterministic",
            LAST,
        ),
    ),
    "posterior": Published(
        posterior,
        (
            "PEARL's schedule: every episode, the scored ones too, acts on a draw from the belief",
            SAME,
            "the gate counts episodes, however short, where CSRO's counts steps",
            LAST,
        ),
    ),
    "rows": Published(
        stored_rows,
        ("FOCAL's and CSRO's offline schedule: independent stored rows before each scored episode", OFFLINE, LAST),
    ),
    "episodes": Published(
        stored_episode,
        (
            "CORRO's schedule: one stored trajectory, one scored episode; the budget plays no part",
            OFFLINE,
            "an episode ends when the robot falls; CORRO's code steps on and goes on counting rewards",
        ),
    ),
    "belief": Published(
        filtering,
        (
            "BOReL's schedule: two episodes under one running belief, both scored; the budget plays no part",
            SAME,
            LAST,
        ),
    ),
}


def published(name: str) -> Published:
    """Return a collector's published protocol.

    Raises:
        InputError: none is published for it.
    """
    if name not in PUBLISHED:
        raise InputError(
            f"test.protocol: none is published for the collector {name!r}; {suggest(name, PUBLISHED)}, or "
            "bind test.protocol = 'equal_budget'"
        )
    return PUBLISHED[name]
