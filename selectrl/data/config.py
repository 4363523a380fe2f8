"""The config of the data that a run trains on."""

from __future__ import annotations

import attrs

from selectrl.fields import ADDED_LATER, choice, name


@attrs.frozen(kw_only=True)
class DataConfig:
    """The dataset of a run.

    Attributes:
        name: folder of the dataset below the data folder and the environment's name.
        terminals: ``true`` bootstraps through time-outs; ``paper`` ends the bootstrap at the last row of every episode,
            as the published code does.
        split: training and test tasks: ``family``, the family's own training and test tasks; ``tuning``,
            the training tasks alone, every fourth of which is held out as a test task.
    """

    name: str = attrs.field(default="paper", validator=name())
    terminals: str = attrs.field(default="true", validator=choice("true", "paper"))
    split: str = attrs.field(default="family", validator=choice("family", "tuning"), metadata=ADDED_LATER)
