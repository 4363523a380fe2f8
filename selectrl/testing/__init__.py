"""Conformance checks for parts, yours and ours, in the manner of Gymnasium's ``check_env``.

Each check takes the config of a registered part, needs no data on disk, and returns quietly or raises
:class:`ConformanceError`, whose sentence names the fault, what was expected and the remedy::

    from selectrl.testing import check_encoder

    check_encoder(MyEncoderConfig(hidden=(8, 8)))

A part is tried beside small shipped partners on random data of a made-up family of tasks. Conformance says that the
loop may run the part; whether its formulas are right, golden numbers must say.
"""

from selectrl.errors import ConformanceError
from selectrl.testing.actor import check_actor
from selectrl.testing.collector import check_collector
from selectrl.testing.critic import check_critic
from selectrl.testing.encoder import check_encoder
from selectrl.testing.env import check_env
from selectrl.testing.weights import check_weight

__all__ = [
    "ConformanceError",
    "check_actor",
    "check_collector",
    "check_critic",
    "check_encoder",
    "check_env",
    "check_weight",
]
