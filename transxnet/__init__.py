"""TransXNet and what it costs.

`import transxnet` makes timm know the networks without importing timm or torch itself: the description and the
cost model stay light, and timm, whenever it is imported, finds them registered.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

from transxnet.arch import ArchConfig, StageConfig

__all__ = ["ArchConfig", "StageConfig"]


class _RegisterWithTimm(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets timm be imported as always, then registers the networks with it."""

    _asking = False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Stand in for timm's own loader, which the other finders know."""
        if name != "timm" or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec("timm")
        finally:
            self._asking = False
        if spec is None or spec.loader is None:
            return None
        self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """timm's own loader makes the module."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run timm under its own loader, then register."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        sys.meta_path.remove(self)
        _register_now()


def _register_now() -> None:
    from transxnet.registry import register_all

    register_all()


if "timm" in sys.modules:
    _register_now()
else:
    sys.meta_path.insert(0, _RegisterWithTimm())
