"""Where timm finds the registered entry points and their settings: `transxnet.registry` fills it, it holds no more."""

from typing import Any

default_cfgs: dict[str, Any] = {}
