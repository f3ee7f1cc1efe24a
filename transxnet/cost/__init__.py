"""What a network costs: `estimate` by closed form in microseconds, `measure` by fvcore on the built network."""

from __future__ import annotations

from transxnet.arch import ArchConfig
from transxnet.cost.closed_form import OPERATORS, Cost, estimate

__all__ = ["OPERATORS", "Cost", "estimate", "measure"]


def measure(arch: ArchConfig, image_size: tuple[int, int] | None = None) -> Cost:
    """Build the plain network and count it by fvcore, operator by operator, for one image of `image_size` pixels.

    `estimate` must give the same; this is the judge and takes seconds. Raises ValueError if the trace has an
    operator whose cost nobody has decided on.
    """
    from transxnet.cost.traced import measure_built  # torch and fvcore come with this call only

    return measure_built(arch, image_size or arch.image_size)
