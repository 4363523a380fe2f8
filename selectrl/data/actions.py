"""Logged actions outside [-1, 1], the range of all actions of this package: refuse, clip or rescale them."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from selectrl.arrays import Array, DoubleArray
from selectrl.errors import DataError, InputError
from selectrl.fields import choice

ACTION_RULES = ("refuse", "clip", "rescale")
RECORD = "imported_actions"  # field of a manifest's behaviour


def _check_box(instance: object, attribute: Any, value: Any) -> None:
    """Check that bounds are pairs of finite numbers, the lower first."""
    low, high = np.asarray(value, np.float64).reshape(-1, 2).T
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all() and len(low)):
        raise InputError(f"the box of actions is {value}, expected finite bounds, the lower one below the upper one")


@attrs.frozen(kw_only=True)
class ActionRule:
    """The way in which an import brings logged actions into [-1, 1].

    Attributes:
        kind: ``refuse`` accepts no action outside that range, ``clip`` cuts to it as the environments do, ``rescale``
            maps the box in which the actions were logged onto it.
        box: (low, high) of that box, one pair for all components of an action or one pair for each; None takes the box
            that is logged with the data.
    """

    kind: str = attrs.field(default="refuse", validator=choice(*ACTION_RULES))
    box: tuple[tuple[float, float], ...] | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_box)
    )

    def __attrs_post_init__(self) -> None:
        """Check that a box is given for rescaling only."""
        if self.box is not None and self.kind != "rescale":
            raise InputError(f"a box of actions needs --actions rescale, got {self.kind}; leave out --action-box")


REFUSE = ActionRule()


class Actions:
    """Brings the actions of one import into [-1, 1], episode by episode, and counts the changed rows.

    Args:
        rule: the way in which it does so.
        width: components of an action.
        logged: the box that is logged with the data, (action, 2), if any.

    Raises:
        InputError: rescaling has no box, or a box of another width.
    """

    def __init__(self, rule: ActionRule, width: int, logged: DoubleArray | None = None) -> None:
        self.kind, self.rows, self.outside, self.largest, self.first = rule.kind, 0, 0, 0.0, ""
        self.box = np.broadcast_to((-1.0, 1.0), (width, 2)) if logged is None else logged
        if rule.kind == "rescale":
            box = logged if rule.box is None else np.asarray(rule.box, np.float64)
            if box is None:
                raise InputError("the data do not record the box of their actions; give it as --action-box=LOW:HIGH")
            if len(box) not in (1, width) or not np.isfinite(box).all():
                raise InputError(f"the box of actions is {box.tolist()}, expected 1 or {width} pairs of finite bounds")
            self.box = np.broadcast_to(box, (width, 2))

    def fit(self, where: str, action: Array) -> Array:
        """Return an episode's actions, (time, action), in [-1, 1]; NaN is unchanged.

        Args:
            where: name of the episode for the error of :meth:`finish`.
            action: as logged.
        """
        action = np.asarray(action, np.float32)
        if self.kind == "rescale":
            low, high = self.box.T
            action = (2 * (action.astype(np.float64) - low) / (high - low) - 1).astype(np.float32)
        outside = np.abs(action) > 1
        self.rows += len(action)
        if outside.any():
            self.first = self.first or where
            self.outside += int(outside.any(1).sum())
            self.largest = max(self.largest, float(np.abs(action[outside]).max()))
        return action.clip(-1, 1)

    def finish(self) -> dict[str, Any]:
        """Return the entry for the manifest's ``behaviour``; an empty one where the actions are as logged.

        Raises:
            DataError: actions are outside and the rule does not clip, or the rule refuses and their box is another.
        """
        count = f"{self.first}: {self.outside} of {self.rows} rows of the import have an action outside -1 to 1"
        if self.outside and self.kind == "rescale":
            raise DataError(f"{count} after rescaling, up to {self.largest:g}; give the right box with --action-box")
        if self.outside and self.kind == "refuse":
            remedy = "give --actions clip to cut them as the environments do, or --actions rescale to map their box"
            raise DataError(f"{count}, up to {self.largest:g}; {remedy} onto -1 to 1")
        if self.kind == "refuse" and (self.box != (-1.0, 1.0)).any():
            raise DataError(
                f"the actions were logged in the box {self.box.tolist()}, expected -1 to 1; give --actions rescale to "
                "map it onto -1 to 1, or --actions clip to take them as they are"
            )
        if self.kind == "refuse" or (self.kind == "clip" and not self.outside):
            return {}
        record: dict[str, Any] = {"rule": self.kind, "rows": self.rows}
        return {RECORD: record | ({"box": self.box.tolist()} if self.kind == "rescale" else {"clipped": self.outside})}
