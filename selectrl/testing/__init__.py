"""Conformance checks for parts, of this library and of others, like Gymnasium's ``check_env``.

Each check takes the config of a registered part and needs no data on disk. It returns None, or raises
:class:`ConformanceError`, whose message names the fault, the expected value and the remedy::

    from selectrl.testing import check_encoder

    check_encoder(MyEncoderConfig(hidden=(8, 8)))

A part runs with small parts of this library on random data of a synthetic family of tasks. Conformance means that the
loop can run the part; golden numbers have to show that its formulas are correct.
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
