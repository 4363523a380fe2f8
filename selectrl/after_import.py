"""Work that waits for another package to be imported, so that a process which never needs it never pays for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Waiter:
    """A finder of modules that finds none itself: it acts at the end of one module's own import."""

    def __init__(self, module: str, act: Callable[[], object]) -> None:
        self.module, self.act = module, act

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.module:
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_act(module: ModuleType) -> None:
            load(module)
            self.act()

        spec.loader.exec_module = load_and_act  # type: ignore[method-assign]
        return spec


def after_import(module: str, act: Callable[[], object]) -> None:
    """Call a function now if a module is imported already, else as soon as it is."""
    if module in sys.modules:
        act()
    else:
        sys.meta_path.insert(0, _Waiter(module, act))
