"""The networks that trials train in place of a space's targets: comparable with one another, whatever was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from experiments.fidelity import Fidelity, proxy_arch
from space import Space
from space.common_widths import CommonWidths
from space.match import match_cost
from transxnet.arch import ArchConfig

MOST_UNEVEN = 1.25
"""How many times more than another a stage may be widened to match a proxy's cost: beyond, its shape comes first."""


@dataclass(frozen=True)
class Proxies:
    """Turns targets into what is trained.

    Choices such as the share of IDConv decide which widths are legal. A proxy takes widths that all choices of the
    space allow, or else variants would differ in width by what rounding did to each.
    """

    space: Space
    fidelity: Fidelity
    channels: int
    """Of the data's images."""
    num_classes: int

    def of(self, target: ArchConfig) -> ArchConfig:
        """What is trained for `target`; where variants are matched, at widths of the baseline's proxy's cost.

        Matching the targets would not be enough: at the proxy's size parts weigh otherwise.
        """
        if self.space.match is None:
            return self._scaled(target)
        # Matching begins at the base's own widths, which variants of a matched space have in common.
        widths = self.space.base.column("width") if self.fidelity.width_scale != 1 else target.column("width")
        unmatched = self._scaled(target.with_stages(width=widths))
        return match_cost(unmatched, self.baseline, self.space.match, MOST_UNEVEN).arch

    @cached_property
    def baseline(self) -> ArchConfig:
        """What is trained for the base."""
        return self._scaled(self.space.base)

    def _scaled(self, target: ArchConfig) -> ArchConfig:
        widths = None
        if self.fidelity.width_scale != 1:
            widths = tuple(
                self._widths.nearest(index, own, own * self.fidelity.width_scale)
                for index, own in enumerate(target.column("width"))
            )
        return proxy_arch(target, self.fidelity, self.channels, self.num_classes, widths)

    @cached_property
    def _widths(self) -> CommonWidths:
        return CommonWidths(self.space)
