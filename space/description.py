"""All that is told of a space, and the sentences that tell it, however they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from space.budget import Budget
from space.match import MATCHES, TOLERANCE
from space.rules import RULES
from space.share import Share
from space.space import Ineffective, Space
from space.survey import Survey
from transxnet.arch import ArchConfig
from transxnet.cost import Cost, estimate

_HUGE = 10**9
"""From here on a count of points is told as a power of ten too."""


@dataclass(frozen=True)
class CostWords:
    """What people call a cost."""

    name: str
    """Of the cost's property: gmacs, params_m."""
    label: str
    unit: str
    decimals: int

    def number(self, cost: float) -> str:
        """The cost as text, without its unit."""
        return f"{cost:.{self.decimals}f}"

    def short(self, cost: float) -> str:
        """The cost in as few digits as its size needs, for an axis."""
        return f"{cost:.3g}" if cost < 1000 else f"{cost:,.0f}"


COSTS = (
    CostWords("gmacs", "multiply-adds", "G", 4),
    CostWords("params_m", "parameters", "M", 3),
)
"""The costs that are told of, in this order."""


@dataclass(frozen=True)
class Description:
    """A space, what was found in it, and the budget that it was held against."""

    space: Space
    found: Survey
    budget: Budget

    @cached_property
    def baseline(self) -> Cost:
        """The cost of the base."""
        return estimate(self.space.base)

    @cached_property
    def ineffective(self) -> tuple[Ineffective, ...]:
        """Choices that change nothing."""
        return self.space.ineffective()

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What is told in a line each, by a word."""
        space = self.space
        facts = [
            ("base", f"{space.base_name} ({_shape(space.base)})"),
            ("size", f"{count_text(space.size)} points"),
            ("legal", self._legality),
        ]
        if self.found.feasible is not None:
            facts.append(("feasible", self._feasibility(self.found.feasible)))
        facts.append(("different", self._difference))
        facts += [("rule", f"{name}: {RULES[name].sentence}") for name in space.rules]
        if not space.rules:
            facts.append(("rule", "none but that the network can be built"))
        if space.match is not None:
            label = MATCHES[space.match].label
            facts.append(("matched", f"all have the base's {label} within {TOLERANCE:.0%}, by their widths"))
        return facts

    @property
    def looked_at(self) -> str:
        """Of which points the costs are told."""
        count = f"{len(self.found.points):,}"
        return f"all {count} legal points" if self.found.is_whole else f"{count} legal points, drawn at random"

    @property
    def image(self) -> str:
        """For which image the costs are."""
        varies = any("image_size" in dimension.fields for dimension in self.space.dimensions)
        return "its own size" if varies else pixels_text(self.space.base)

    @property
    def without_effect(self) -> list[str]:
        """Choices that change nothing, and those that no legal point makes, a line each; nothing if there are none."""
        lines = [
            f"{same.axis}: {', '.join(same.labels)} build the same network (other choices: baseline)"
            for same in self.ineffective
        ]
        return lines + [f"{axis}: no legal point chooses {label}" for axis, label in self.found.never_legal]

    @property
    def _legality(self) -> str:
        legal = self.found.legal
        if self.found.is_whole:
            count = len(self.found.points)
            return f"{count:,} of {self.space.size:,} points, {share_text(legal)}, every point looked at"
        if legal.is_exact:
            return f"{share_text(legal)} of the points, exactly: {_about(legal.value * self.space.size)}"
        return f"{share_text(legal)} of random points{interval_text(legal)}"

    def _feasibility(self, feasible: Share) -> str:
        limits = " and ".join(f"budget.max_{name}={limit:g}" for name, limit in self.budget.limits.items())
        return f"{share_text(feasible)} of the legal points within {limits}{interval_text(feasible)}"

    @property
    def _difference(self) -> str:
        found = self.found
        if found.is_whole and found.built == len(found.points):
            built = f"the {found.built:,} legal points"
        else:
            built = f"{found.built:,} legal points, drawn at random"
        return f"{found.distinct:,} different networks built by {built}"


def count_text(count: int) -> str:
    """A count with separators; a huge one as a power of ten too."""
    if count < _HUGE:
        return f"{count:,}"
    return f"{count:,} ({_power_of_ten(count)})"


def share_text(share: Share) -> str:
    """A share in percent, with digits that tell small and nearly whole ones from 0 and 100 %."""
    return _percent(share.value)


def interval_text(share: Share) -> str:
    """Where a measured share lies, in brackets; nothing of an exact one."""
    return "" if share.is_exact else f" (95 % interval {_percent(share.low)} to {_percent(share.high)})"


def pixels_text(arch: ArchConfig) -> str:
    """The image size of a network."""
    height, width = arch.image_size
    return f"{height} px" if height == width else f"{height}x{width} px"


def _about(count: float) -> str:
    return f"about {count:,.0f}" if count < _HUGE else f"about {_power_of_ten(count)}"


def _power_of_ten(count: float) -> str:
    digits, _, power = f"{float(count):.1e}".partition("e+")
    return f"{digits} × 10^{int(power)}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share in (0, 1) or 0.001 <= share <= 0.999 else f"{100 * share:.4g}%"


def _shape(arch: ArchConfig) -> str:
    columns = (f"{name} {','.join(map(str, arch.column(name)))}" for name in ("depth", "width"))
    return f"{'; '.join(columns)}; {pixels_text(arch)}"
