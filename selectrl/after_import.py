"""Actions around the import of another package, without an import of that package before it is needed.

This module imports nothing: it is read before a command handles signals.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class _Waiter:
    """A finder that finds no modules of its own: it wraps the import of one module."""

    def __init__(self, module: str, around: Callable[[Callable[[], None]], object]) -> None:
        self.module, self.around = module, around

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.module:
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_inside(module: ModuleType) -> None:
            self.around(lambda: load(module))

        spec.loader.exec_module = load_inside  # type: ignore[method-assign]
        return spec


def wrap_import(module: str, around: Callable[[Callable[[], None]], object]) -> None:
    """Call a function instead of a module's import; its argument is the import, which it must call.

    Nothing happens if the module is imported already.
    """
    if module not in sys.modules:
        sys.meta_path.insert(0, _Waiter(module, around))


def call_after_import(module: str, act: Callable[[], object]) -> None:
    """Call a function after the import of a module; at once if it is imported already."""

    def load_and_act(load: Callable[[], None]) -> None:
        load()
        act()

    if module in sys.modules:
        act()
    else:
        wrap_import(module, load_and_act)
