"""For the whole suite: one thread, run-time shape checks of the maths, and the helpers of this folder importable."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import torch
from hypothesis import settings
from jaxtyping import install_import_hook

sys.path.append(str(Path(__file__).parent))  # test modules are imported by path and see no sibling otherwise
torch.set_num_threads(1)
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:  # as a shell's background jobs inherit it, and commands under test
        signal.signal(number, usual)

install_import_hook("selectrl.functional", "beartype.beartype")  # test_shapes.py tells if it came too late

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("suite")
