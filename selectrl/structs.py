"""The records that pass between parts: named tuples of tensors without ``None``, so that they pass through ``vmap``.

Axes have one vocabulary, :data:`AXES`. Ranks are fixed: reward,
terminal, log-probability and V are (task, batch); Q is (twin, task, batch); z is (task, 1 or batch, latent). No tensor
has a trailing axis of size 1. A field that was not requested has width 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

AXES = (
    *("task", "world", "seed", "repeat", "member", "twin", "net"),  # what is done several times in parallel
    *("batch", "context", "query", "negative", "row", "draw"),  # rows of data, and draws of them
    *("episode", "block", "time", "step", "point"),  # time and its parts; a point is a scored episode
    *("obs", "action", "latent", "parameter", "hidden", "width", "column", "in", "out"),  # widths of values
    *("class", "donor", "centre", "body", "run", "threshold"),  # of one use: training tasks as classes, other tasks, …
)
"""The words for axes in the comments that give a tensor's shape."""

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor


class Spec(NamedTuple):
    """Shapes of one task family.

    Attributes:
        obs: width of an observation.
        action: width of an action; actions are in the box [-1, 1].
        horizon: steps after which an episode times out.
        dynamics_vary: whether tasks differ in their dynamics and not only in their reward.
    """

    obs: int
    action: int
    horizon: int
    dynamics_vary: bool


class ReferenceReturns(NamedTuple):
    """Returns to read others by, means over test tasks.

    Attributes:
        optimum: of the best policy that knows the task.
        random: of uniformly random actions.
        margin: a difference between two methods that is too small to matter.
    """

    optimum: float
    random: float
    margin: float


class Arena(NamedTuple):
    """The plane that the worlds of a family move in, for pictures of paths.

    Attributes:
        coordinates: places of x and y in an observation.
        start: where every episode begins, (2,).
        goals: the goal of each task, (task, 2).
        places: place of each goal along the outline, from 0 to 1, (task,); pictures take a hue from it.
        outline: the curve that the goals lie on, (point, 2).
        inner: lower left and upper right corner of what a picture always shows, (2, 2).
        outer: the corners beyond which a picture never reaches, (2, 2).
        words: sentences on what a picture shows, up to the marks that all pictures share.
    """

    coordinates: tuple[int, int]
    start: ndarray
    goals: ndarray
    places: ndarray
    outline: ndarray
    inner: ndarray
    outer: ndarray
    words: str


class Rows(NamedTuple):
    """Transitions, with any leading axes; in training (task, batch)."""

    obs: Tensor  # (task, batch, obs)
    action: Tensor  # (task, batch, action)
    reward: Tensor  # (task, batch)
    next_obs: Tensor  # (task, batch, obs)
    terminal: Tensor  # (task, batch) 1.0 where the bootstrap ends
    row: Tensor  # (task, batch) int64, the row's number in its task's data; -1 after the end of an episode


class Latent(NamedTuple):
    """The encoding of the tasks of a batch.

    Attributes:
        z: the task variable at s, (task, 1 or batch, latent).
        z_next: the task variable at s'; set encoders repeat z, belief filters give the belief one step later.
        features: inputs of the encoder's own losses, by name (row embeddings, means, variances).
    """

    z: Tensor
    z_next: Tensor
    features: dict[str, Tensor]

    def of(self, draw: str) -> Tensor:
        """Return the task variable at s of another draw's rows; only for a belief filter it differs from row to row."""
        return self.features.get(f"z/{draw}", self.z)

    def detach(self) -> Latent:
        """Return the same values without their graph."""
        return Latent(self.z.detach(), self.z_next.detach(), {k: v.detach() for k, v in self.features.items()})


class Batch(NamedTuple):
    """All inputs of a loss besides parameters.

    Attributes:
        tasks: ids of the meta-batch's tasks, (task,) int64.
        draws: rows by draw name (``"rl"``, ``"context"``, …).
        noise: standard noise by name, in the declared shape.
        progress: completed fraction of the phase, a scalar in [0, 1).
        latent: the encoding of this step; its width is 0 while the encoder itself runs.
    """

    tasks: Tensor
    draws: dict[str, Rows]
    noise: dict[str, Tensor]
    progress: Tensor
    latent: Latent


class Losses(NamedTuple):
    """The scalar to minimise, and terms for the log only."""

    total: Tensor
    terms: dict[str, Tensor]


class Sample(NamedTuple):
    """A draw from a policy.

    Attributes:
        action: in [-1, 1], (task, batch, action).
        log_prob: its log-probability, (task, batch); 0 for a deterministic policy.
        size: mean over components of the squared head outputs before squashing, (task, batch); actors may penalise it.
    """

    action: Tensor
    log_prob: Tensor
    size: Tensor


class Belief(NamedTuple):
    """An encoder's current belief on each world's task at meta-test.

    Attributes:
        z: its mean, (world, latent).
        spread: its standard deviation per component, (world, latent), if the encoder has one.
    """

    z: Tensor
    spread: Tensor


class Moment(NamedTuple):
    """The inputs of a collector's action besides the observation and z.

    Attributes:
        normal: N(0, 1) redrawn each step, (world, action).
        held: N(0, 1) redrawn each block, (world, action).
        uniform: U(0, 1) redrawn each step, (world, action).
        spread: that of the belief at its latest reading, (world, latent).
        progress: used fraction of the budget, in [0, 1).
    """

    normal: Tensor
    held: Tensor
    uniform: Tensor
    spread: Tensor
    progress: float
