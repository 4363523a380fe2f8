"""The matrix products that a training step cannot do without, in floating-point operations, by formula.

Written from the methods' formulas and not counted from the library's code: every network runs once on what it must see,
a z that is constant per task is multiplied once per task, and nothing is computed for a network that nobody moves but
the gradient of its inputs. A product of (m, k) and (k, n) is 2mkn operations. Element-wise work, optimisers and the
drawing of rows are left out, so that the floor is one: no step of these sizes in these numbers is faster.

The row network of CORRO and BOReL's filter are frozen in the rl phase and what they make is looked up, which counts as
nothing. BOReL's z is another one in every row, so it is multiplied like the rest of the row.
"""

from __future__ import annotations

from itertools import pairwise

import attrs

from selectrl.experiment.config import Experiment
from selectrl.registry import VALUES, registered_name
from selectrl.structs import Spec


@attrs.frozen
class Net:
    """A multi-layer perceptron on ``n`` rows that know ``latents`` different z.

    Attributes:
        n: rows, of all tasks together.
        latents: different z among them.
        rows: width of a row.
        latent: width of z, 0 for none.
        hidden: widths of the hidden layers.
        out: width of the output.
    """

    n: int
    latents: int
    rows: int
    latent: int
    hidden: tuple[int, ...]
    out: int

    @property
    def inner(self) -> int:
        """One pass over the layers behind the first, forwards or backwards."""
        return sum(2 * self.n * a * b for a, b in pairwise((*self.hidden, self.out)))

    @property
    def forward(self) -> int:
        """The output alone."""
        return 2 * (self.n * self.rows + self.latents * self.latent) * self.hidden[0] + self.inner

    @property
    def train(self) -> int:
        """The output and the gradient of all weights; data need no gradient, so the first layer passes none on."""
        return 2 * self.forward + self.inner

    def through(self, columns: int) -> int:
        """The output and the gradient of some columns of the rows, the weights being frozen."""
        return self.forward + self.inner + 2 * self.n * columns * self.hidden[0]


def step_flops(experiment: Experiment, spec: Spec) -> float:
    """Return the operations of one step of the rl phase, averaged over steps with and without an actor's update."""
    parts = (experiment.encoder, experiment.critic, experiment.actor)
    return sum(COUNTS[registered_name(part)](experiment, spec) for part in parts)


def _context(experiment: Experiment, rows: int, hidden: tuple[int, ...], out: int) -> Net:
    return Net(experiment.train.meta_batch * experiment.train.context, 0, rows, 0, hidden, out)


def _rl(experiment: Experiment, rows: int, hidden: tuple[int, ...], out: int) -> Net:
    """A network that sees z: one for each task; BOReL's is one for each row, and holds mean and log-variance."""
    tasks, latent = experiment.train.meta_batch, experiment.encoder.latent_dim
    n = tasks * experiment.train.batch
    if registered_name(experiment.encoder) == "borel":
        return Net(n, n, rows, 2 * latent, hidden, out)
    return Net(n, tasks, rows, latent, hidden, out)


def _policy(experiment: Experiment, spec: Spec) -> Net:
    """The policy; a Gaussian one has a mean and a deviation."""
    config = experiment.actor.policy
    heads = 1 if registered_name(config) == "deterministic" else 2
    return _rl(experiment, spec.obs, config.hidden, heads * spec.action)


def _set(experiment: Experiment, spec: Spec, out: int = 1) -> int:
    config = experiment.encoder
    next_obs = spec.dynamics_vary if config.next_obs is None else config.next_obs
    rows = spec.obs + spec.action + 1 + next_obs * spec.obs
    return _context(experiment, rows, config.hidden, out * config.latent_dim).train


def _csro(experiment: Experiment, spec: Spec) -> int:
    """The encoder; CLUB's fit, and CLUB once more with the weights that the fit gave it."""
    config = experiment.encoder
    club = _context(experiment, spec.obs + spec.action, config.club_hidden, 2 * config.latent_dim)
    return _set(experiment, spec) + club.train + club.forward


def _task_posterior(experiment: Experiment, spec: Spec) -> int:
    """CSRO's, and a decoder of other rows that sees each task's z."""
    config, train = experiment.encoder, experiment.train
    next_obs = spec.dynamics_vary if config.next_obs is None else config.next_obs
    rows, out = train.meta_batch * train.context, 1 + next_obs * spec.obs
    decoder = Net(rows, train.meta_batch, spec.obs + spec.action, config.latent_dim, config.decoder_hidden, out)
    return _csro(experiment, spec) + decoder.train


def _to_z(experiment: Experiment) -> int:
    """The gradient of z, one for each task, through the first layers of both Q."""
    return 2 * 2 * experiment.train.meta_batch * experiment.encoder.latent_dim * experiment.critic.hidden[0]


def _offpearl(experiment: Experiment, spec: Spec) -> int:
    """The encoder with its variances, which the TD loss trains."""
    return _set(experiment, spec, out=2) + _to_z(experiment)


def _corro(experiment: Experiment, spec: Spec) -> int:
    """The attention's score of each row and its gradient: the TD loss trains it on embeddings that are looked up."""
    config, train = experiment.encoder, experiment.train
    rows = train.meta_batch * (train.context if config.context_draw == "rows" else spec.horizon)
    return 2 * (2 * rows * config.latent_dim) + _to_z(experiment)


def _twin_q_v(experiment: Experiment, spec: Spec) -> int:
    """Both Q and V are fitted; V's target copy gives the backup. Q at the policy's action is the actor's."""
    hidden = experiment.critic.hidden
    q, v = _rl(experiment, spec.obs + spec.action, hidden, 1), _rl(experiment, spec.obs, hidden, 1)
    return 2 * q.train + v.train + v.forward


def _dual_target(experiment: Experiment, spec: Spec) -> int:
    """Both Q and V are fitted; target policy and both target Q give the backup."""
    hidden = experiment.critic.hidden
    q, v = _rl(experiment, spec.obs + spec.action, hidden, 1), _rl(experiment, spec.obs, hidden, 1)
    return (
        2 * q.train
        + VALUES.build(experiment.critic.value).members * v.train
        + 2 * q.forward
        + _policy(experiment, spec).forward
    )


def _sac(experiment: Experiment, spec: Spec) -> int:
    """The policy is fitted through both Q, at the action that V's target reads too."""
    q = _rl(experiment, spec.obs + spec.action, experiment.critic.hidden, 1)
    return _policy(experiment, spec).train + 2 * q.through(spec.action)


def _brac(experiment: Experiment, spec: Spec) -> int:
    """SAC's; each dual step fits c on three actions, all but the first on fresh rows; the policy goes through c."""
    config = experiment.actor
    c = _rl(experiment, spec.obs + spec.action, config.dual_hidden, 1)
    fresh = (config.dual_steps - 1) * _policy(experiment, spec).forward
    return _sac(experiment, spec) + 3 * config.dual_steps * c.train + fresh + c.through(spec.action) + c.forward


def _weighted_bc(experiment: Experiment, spec: Spec) -> float:
    """The policy is fitted through Q₁, the weight reads the updated Q₁; V was computed for its own fit."""
    q = _rl(experiment, spec.obs + spec.action, experiment.critic.hidden, 1)
    return (_policy(experiment, spec).train + q.through(spec.action) + q.forward) / experiment.actor.actor_every


#: Operations of a part, by its registered name.
COUNTS = {
    "focal": _set,
    "csro": _csro,
    "task_posterior": _task_posterior,
    "offpearl": _offpearl,
    "corro": _corro,
    "borel": lambda experiment, spec: 0,
    "twin_q_v": _twin_q_v,
    "dual_target": _dual_target,
    "sac": _sac,
    "brac": _brac,
    "weighted_bc": _weighted_bc,
}
