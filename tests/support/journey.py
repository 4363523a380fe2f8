"""The shortest way through the commands, in seconds: behaviour data, training, a meta-test, a report."""

from __future__ import annotations

ROBOT = ("--env", "point_robot", "--threads", "1")
SIZES = {"steps": 140, "warmup": 40, "period": 20, "first_label": 60, "last_label": 100, "episodes": 4}
SIZES |= {"keep_warmup": 2, "hidden": "(8, 8)", "batch": 8}
TINY = [word for name, value in SIZES.items() for word in ("--set", f"behaviour.sac.{name}={value}")]
SHORT = [word for setting in ("train.steps=200", "test.budget=40", "test.repeats=2") for word in ("--set", setting)]

#: Arguments of ``selectrl``, one command after the other, in a directory of their own.
JOURNEY = (
    ("doctor",),
    ("collect", *ROBOT, "--preset", "laptop", *TINY),
    ("data", "verify", "data/point_robot/laptop"),
    ("train", "--method", "select", *ROBOT, "--profile", "laptop", *SHORT),
    ("evaluate", "runs", "--budget", "20", "--repeats", "2"),
    ("report", "runs"),
)
