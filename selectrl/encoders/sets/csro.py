"""CSRO's max-min mutual information, which SELECT also uses."""

from __future__ import annotations

from selectrl.encoders.sets.configs import CsroConfig
from selectrl.encoders.sets.set_encoder import SetEncoder
from selectrl.encoders.sets.terms import Club
from selectrl.protocols import Objective
from selectrl.structs import Spec


class CsroEncoder(SetEncoder[CsroConfig]):
    r"""FOCAL's loss adds information on the task to z; CLUB's bound removes information on the behaviour policy.

    Two objectives, in this order: the estimator q(z | s, a) is fitted to the row embeddings, then the encoder minimises
    :math:`w_{club} L_{club} + 10\,L_{DML}` with the estimator frozen at its new parameters.

    Differs from CSRO's code only in cost: the bound over all pairs of rows is computed in its exact linear form, not on
    an M×M grid, and the context is embedded once per step. The condition (s, a) of the estimator is that of all six
    configurations of CSRO.

    References:
        Gao et al., "Context Shift Reduction for Offline Meta-Reinforcement Learning", NeurIPS 2023; SELECT, AAMAS 2025.
    """

    def __init__(self, config: CsroConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.club = Club(config, spec)

    def objectives(self) -> tuple[Objective, ...]:
        """Return the estimator's objective and the encoder's."""
        return self.club.objectives(self.optims)
