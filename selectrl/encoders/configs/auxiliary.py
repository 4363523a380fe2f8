"""Configs of encoders that add a loss beside FOCAL's: a decoder's, or a classifier's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.encoders.configs.sets import FocalConfig
from selectrl.fields import MOST, as_tuple, integer, number, sizes
from selectrl.registry import ENCODERS

if TYPE_CHECKING:
    from selectrl.encoders.classifier import ClassifierEncoder
    from selectrl.encoders.reconstruction import ReconstructionEncoder
    from selectrl.structs import Spec


@attrs.frozen(kw_only=True)
class ReconstructionConfig(FocalConfig):
    """FOCAL's encoder with a decoder of rewards and, where s' is in the context, of transitions.

    Attributes:
        reconstruction_weight: weight of what the decoder misses.
        decoder_hidden: hidden widths of the decoder.
        decoder_lr: learning rate of the decoder (Adam).
    """

    reconstruction_weight: float = attrs.field(default=1.0, validator=number(0, above=True))
    decoder_hidden: tuple[int, ...] = attrs.field(default=(200, 200, 200), converter=as_tuple, validator=sizes())
    decoder_lr: float = attrs.field(default=3e-4, validator=number(0, above=True))

    def build(self, spec: Spec) -> ReconstructionEncoder:
        """Build the encoder."""
        from selectrl.encoders.reconstruction import ReconstructionEncoder

        return ReconstructionEncoder(self, spec)


@attrs.frozen(kw_only=True)
class ClassifierConfig(FocalConfig):
    """A set encoder from whose z a linear head names the task.

    Attributes:
        metric_weight: weight of the distance-metric loss; off by default.
        classifier_weight: weight of the cross-entropy.
        classes: outputs of the head; more than the largest id of a training task.
    """

    metric_weight: float = attrs.field(default=0.0, validator=number(0))
    classifier_weight: float = attrs.field(default=1.0, validator=number(0, above=True))
    classes: int = attrs.field(default=64, validator=integer(2, MOST))

    def build(self, spec: Spec) -> ClassifierEncoder:
        """Build the encoder."""
        from selectrl.encoders.classifier import ClassifierEncoder

        return ClassifierEncoder(self, spec)


ENCODERS.add(
    "reconstruction",
    ReconstructionConfig,
    paper="Li et al., NeurIPS 2024; Zhou et al., AAAI 2024",
    summary="distance metric and a decoder of rewards and transitions, as in UNICORN and GENTLE",
)
ENCODERS.add(
    "classifier",
    ClassifierConfig,
    paper="Li et al., NeurIPS 2024",
    summary="task classification from z, as in UNICORN's supervised form",
)
