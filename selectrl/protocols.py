"""The four parts, their declarations to the loop, and the loop that uses them.

A method is a composition of a ContextEncoder, a Critic, an ActorLoss and a ContextCollector. It trains an
ordered tuple of objectives; the loop runs the tuple and knows no algorithm::

    latent = encode(agent, batch)                                   # once, at the step's first parameters
    for objective in phase.objectives:
        if (step + 1) % objective.every == 0:
            losses = objective.loss(agent, batch + latent)          # a pure function of (parameters, batch)
            step_optimisers(objective.moves, gradient(losses.total))
    move_targets(phase.tracks)

At meta-test the same encoder filters a stream of transitions::

    state = encoder.init(worlds)
    for each step:
        z = collector.latent(encoder.read(state), normal)
        action = collector.act(policy, obs, z, moment)
        state = encoder.step(state, rows, live)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import attrs

from selectrl.fields import choice, flag, number
from selectrl.structs import Arena, Batch, Belief, Latent, Losses, Moment, ReferenceReturns, Rows, Sample, Spec

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from selectrl.arrays import Array, IntArray

ROW_FIELDS = ("obs", "action", "reward", "next_obs", "terminal")


@attrs.frozen(kw_only=True)
class Optim:
    """The optimiser of one group of parameters.

    Attributes:
        name: ``adam`` (betas .9, .999) or ``sgd``.
        lr: learning rate.
        late: move at the end of the step, so that later objectives of the same step still read the earlier values.
    """

    name: str = attrs.field(default="adam", validator=choice("adam", "sgd"))
    lr: float = attrs.field(default=3e-4, validator=number(0, above=True))
    late: bool = attrs.field(default=False, validator=flag())


@attrs.frozen
class Draw:
    """Rows that a part asks for.

    Attributes:
        name: the stream; two draws of one name are one draw.
        kind: ``rl`` and ``context`` are independent uniform rows, with replacement, of each task of the
            meta-batch; ``episodes`` whole episodes in the order of time; ``relabelled`` whole episodes of other tasks,
            with the rewards that the task of the meta-batch would have given.
        fields: which fields are needed; the others come back with width 0.
        size: rows (or whole episodes) per task; 0 takes the size that the training settings give the kind.
    """

    name: str
    kind: str
    fields: tuple[str, ...] = ROW_FIELDS
    size: int = 0


@attrs.frozen
class Noise:
    """Standard noise that a part asks for; parts that name the same noise share it.

    Attributes:
        name: the stream.
        law: ``normal`` is N(0, 1), ``uniform`` is U(0, 1).
        shape: sizes, where ``"task"`` and the names of draws stand for the sizes of those axes.
    """

    name: str
    law: str
    shape: tuple[str | int, ...]


@attrs.frozen(kw_only=True)
class Objective:
    """One loss, and the parameters that it moves.

    Attributes:
        name: unique in its phase; metrics are logged under it.
        loss: a deterministic function of (parameters, batch).
        moves: optimiser by parameter prefix (``"encoder.net"``); an optimiser's state belongs to its prefix.
        draws: rows that the loss reads.
        noise: noise that the loss reads.
        every: the objective is due on every n-th step.
        density: whether the loss reads ``agent.policy.log_prob``; a deterministic policy is refused beside it.
    """

    name: str
    loss: Callable[[Agent, Batch], Losses]
    moves: Mapping[str, Optim]
    draws: tuple[Draw, ...] = ()
    noise: tuple[Noise, ...] = ()
    every: int = 1
    density: bool = False


@attrs.frozen(kw_only=True)
class Track:
    """A Polyak target: a copy of ``source`` that moves towards it by ``tau`` on every n-th step, after all losses.

    The agent makes the copy when it is built; losses read it as ``agent.target(module)``.
    """

    source: str
    tau: float
    every: int = 1


#: (parameters, obs, action, next_obs) -> reward, with operators alone, so that it takes NumPy or torch.
Reward = Callable[[Any, Any, Any, Any], Any]


class TrainingRows(Protocol):
    """The rows of the training tasks, as a phase prepares from them; see :class:`selectrl.data.rows.RowStore`."""

    tasks: Tensor  #: ids of the tasks, (task,)
    place: Tensor  #: a task's place in that order, by id
    parameters: Tensor  #: (task, parameter)
    reward: Tensor  #: (task, row)
    counts: IntArray  #: valid rows of each task, (task,)
    episode_counts: IntArray  #: episodes of each task, (task,)
    episodes: int  #: width of the episode axis
    time: int  #: width of the time axis
    device: torch.device
    reward_of: Reward | None

    def gather(self, local: Tensor, rank: Tensor, fields: Collection[str]) -> Rows:
        """Return rows by their ranks (task, batch) among the valid ones, (task, batch, …)."""
        ...

    def whole(self, local: Tensor, episode: Tensor, fields: Collection[str]) -> Rows:
        """Return whole episodes (task, episode) one after the other, (task, episode * time, …)."""
        ...


Prepare = Callable[[TrainingRows, "np.random.Generator"], "dict[str, Tensor]"]


@attrs.frozen(kw_only=True)
class Phase:
    """A stretch of training with one set of objectives.

    Attributes:
        name: unique in the experiment; the last phase is ``rl`` and curves count its steps.
        steps: how many.
        objectives: in the order in which they step.
        tracks: targets that move at the end of each step.
        draws: rows that ``encode`` reads.
        noise: noise that ``encode`` reads.
        encodes: whether the encoder runs at all in this phase.
        prepare: (rows of the training tasks, generator) -> values of buffers by their names in the agent, on entering
            the phase; a method of the part that declares the phase, called for each agent of a population. Pure, and of
            parameters that the phase does not move, so that a resumed run simply runs it again. A meta-test, which has
            no training data, uses those that are persistent, whose shape stays; the others last as long as the phase.
    """

    name: str
    steps: int
    objectives: tuple[Objective, ...] = ()
    tracks: tuple[Track, ...] = ()
    draws: tuple[Draw, ...] = ()
    noise: tuple[Noise, ...] = ()
    encodes: bool = True
    prepare: Prepare | None = None


M = TypeVar("M")
State = TypeVar("State", bound="tuple[Any, ...]")


class Agent(Protocol):
    """The parts of one method where they meet: inside a loss."""

    encoder: ContextEncoder[Any]
    critic: Critic
    policy: Policy

    def target(self, module: M) -> M:
        """Return the Polyak copy of a module of this agent."""
        ...


class Policy(Protocol):
    """A policy conditioned on the task variable; actions lie in [-1, 1]."""

    stochastic: bool  #: whether actions have a density, so that there is a log_prob
    temperature: float  #: the only entropy coefficient, read by critic and actor alike; 0 when deterministic

    def sample(self, obs: Tensor, z: Tensor, normal: Tensor) -> Sample:
        """Draw an action with the given standard noise, (…, action)."""
        ...

    def mode(self, obs: Tensor, z: Tensor) -> Tensor:
        """Return the action without noise, (…, action)."""
        ...

    def log_prob(self, obs: Tensor, z: Tensor, action: Tensor) -> Tensor:
        """Return the log-density of an action, (…,), finite on the edge of the box too.

        Raises:
            CompositionError: the policy is deterministic.
        """
        ...


class ContextEncoder(Protocol[State]):
    """Works out the task from transitions.

    At meta-test it filters: a state is a tuple of tensors with a leading world axis, which may nest, so that worlds can
    be selected.
    """

    latent_dim: int
    critic_params: Mapping[str, Optim]  #: prefixes that the TD loss may move

    def phases(self, rl: Phase) -> Sequence[Phase]:
        """Return the encoder's pre-training phases, then rl with the encoder's own objectives in front."""
        ...

    def encode(self, batch: Batch) -> Latent:
        """Encode the tasks of a training batch."""
        ...

    def init(self, worlds: int) -> State:
        """Return the state of a filter before any transition, for a number of worlds."""
        ...

    def step(self, state: State, rows: Rows, live: Tensor) -> State:
        """Take in one transition per world, (world, …), where live (world,) is true."""
        ...

    def read(self, state: State) -> Belief:
        """Return the belief; before any transition it is finite, with spread 1 unless the encoder has a prior."""
        ...


class Critic(Protocol):
    """Values actions and states under a task variable."""

    def q(self, obs: Tensor, action: Tensor, z: Tensor, twins: int = 2) -> Tensor:
        """Return both values of (s, a), or Q₁ alone, (twins, task, batch)."""
        ...

    def v(self, obs: Tensor, z: Tensor, policy: Policy) -> Tensor:
        """Return the value of s, (task, batch)."""
        ...

    def objectives(self) -> tuple[Objective, ...]:
        """Return its objectives; the first carries the TD loss."""
        ...

    def tracks(self) -> tuple[Track, ...]:
        """Return its Polyak targets."""
        ...


class ActorLoss(Protocol):
    """Trains the agent's policy."""

    def objectives(self) -> tuple[Objective, ...]:
        """Return its objectives."""
        ...


class ContextCollector(Protocol):
    """Gathers context in an unseen task."""

    offline: str  #: "" collects; "episodes" and "rows" read those of the task's stored data instead

    def latent(self, belief: Belief, normal: Tensor) -> Tensor:
        """Return the z to act under, (world, latent); normal (world, latent) is redrawn each block."""
        ...

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the action to execute, (world, action) in [-1, 1]."""
        ...

    def updates(self, progress: float, block_end: bool) -> bool:
        """Say whether to read the belief again now."""
        ...

    def keeps(self, returns: Tensor) -> Tensor:
        """Say which worlds keep the block just collected as context, (world,); returns (world, block) end with it."""
        ...


class TaskFamily(Protocol):
    """A family of tasks, stepped many worlds at once; knows nothing of torch."""

    spec: Spec
    env_id: str
    parameters: Array  #: what tells the tasks apart, (task, parameter)
    train_tasks: tuple[int, ...]
    test_tasks: tuple[int, ...]

    @property
    def reward(self) -> Reward | None:
        """The reward as a function of parameters and transition; None where they do not tell it, or dynamics vary."""
        ...

    @property
    def arena(self) -> Arena | None:
        """The plane that the worlds move in, for pictures of paths; None where they move in none."""
        ...

    def reference_returns(self, tasks: Sequence[int]) -> ReferenceReturns | None:
        """Return the optimum and random actions' return on tasks; None where they are not known for these."""
        ...

    def worlds(self, tasks: Sequence[int], *, threads: int = 1) -> Any:
        """Return a ``gymnasium.vector.VectorEnv`` with one world per entry of tasks.

        ``threads`` threads simulate them, if the simulator has threads; results do not depend on their number.
        """
        ...


#: A config is data alone, a frozen attrs class; its registry knows the part that is built from it. These names say of
#: which kind a field or an argument holds one.
EncoderConfig: TypeAlias = attrs.AttrsInstance
CriticConfig: TypeAlias = attrs.AttrsInstance
PolicyConfig: TypeAlias = attrs.AttrsInstance
CollectorConfig: TypeAlias = attrs.AttrsInstance
WeightConfig: TypeAlias = attrs.AttrsInstance
AggregationConfig: TypeAlias = attrs.AttrsInstance
NegativesConfig: TypeAlias = attrs.AttrsInstance
ValueConfig: TypeAlias = attrs.AttrsInstance
FamilyConfig: TypeAlias = attrs.AttrsInstance


class ActorConfig(attrs.AttrsInstance, Protocol):
    """The config of an ActorLoss carries that of the policy, too."""

    @property
    def policy(self) -> PolicyConfig:
        """The policy that this loss trains."""
        ...
