"""What a proxy hides, told before anything is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from analysis.proxy_costs import RELATION
from experiments.fidelity import attends
from experiments.proxies import Proxies
from space import IllegalVariant, Labels, Space
from space.match import MATCHES, TOLERANCE
from transxnet.arch import ArchConfig
from transxnet.cost import estimate

LOOKED_AT = 2_000
"""Up to so many points a space is looked through before a sweep."""
SAMPLED = 200
"""Points of a larger space that are looked at, drawn at random."""


def proxy_cautions(proxies: Proxies) -> Iterator[str]:
    """Sentences on what a trial cannot feel of the space's choices, or feels otherwise than a target would."""
    space = proxies.space
    if not attends(proxies.baseline):
        yield (
            "at this proxy every stage of the baseline has a single position to attend to, so attention does nothing; "
            "a smaller proxy.stem_stride or a larger proxy.image_size gives it more"
        )
    variants = {arch.id: (labels, arch) for labels, arch in _variants(space)}
    trained = {arch.id: proxies.of(arch) for _, arch in variants.values()}
    different = len({arch.id for arch in trained.values()})
    if different < len(variants):
        some = "" if space.size <= LOOKED_AT else " that were looked at"
        yield (
            f"the {len(variants)} variants{some} are only {different} different networks at this proxy's size: those "
            f"that are the same share one training; a larger proxy.width_scale or proxy.depth_scale tells them apart"
        )
    if space.match is not None:
        yield from _matching(space.match, proxies.baseline, list(trained.values()))
    elif space.size <= LOOKED_AT:  # in a larger one depths and widths are rounded too, and no one variant tells much
        yield from _relation(proxies, [(labels, arch, trained[arch.id]) for labels, arch in variants.values()])


def _matching(match: str, baseline: ArchConfig, trained: Sequence[ArchConfig]) -> Iterator[str]:
    """How far the networks that are trained are from one cost, if some are farther than their targets may be."""
    cost = MATCHES[match]
    departures = [cost.of(estimate(arch)) / cost.of(estimate(baseline)) - 1 for arch in trained]
    if departures and max(map(abs, departures)) > TOLERANCE:
        yield (
            f"the legal widths of so small a proxy cannot match all variants within {100 * TOLERANCE:g} % and keep "
            f"their shape: what is trained departs from the baseline's {cost.label} by {100 * min(departures):+.1f} % "
            f"to {100 * max(departures):+.1f} %; a larger proxy.width_scale comes nearer"
        )


def _relation(proxies: Proxies, variants: Sequence[tuple[Labels, ArchConfig, ArchConfig]]) -> Iterator[str]:
    """The variant whose cost beside the baseline's is most unlike at the proxy's size and at the target's."""
    own, own_proxy = estimate(proxies.space.base).macs, estimate(proxies.baseline).macs
    found = [
        (labels, estimate(target).macs / own, estimate(proxy).macs / own_proxy) for labels, target, proxy in variants
    ]
    labels, target, proxy = max(found, key=lambda each: abs(each[2] / each[1] - 1))
    if abs(proxy / target - 1) > RELATION:
        name = ", ".join(f"{axis}={label}" for axis, label in labels.items() if label != proxies.space.baseline[axis])
        yield (
            f"beside the baseline, what is trained may cost otherwise than its target: {name} has {proxy - 1:+.0%} "
            f"multiply-adds at this proxy, {target - 1:+.0%} at the target's size; a proxy nearer to the target, or "
            f"match=gmacs, brings them together"
        )


def kernel_caution(space: Space, kernels: Mapping[str, str]) -> str | None:
    """That times compare kernels too: `kernels` are those of each objective that is a time, by its name."""
    fast = [name for name, used in kernels.items() if used != "reference"]
    if not fast or len({stage.has_all_parts for _, arch in _variants(space) for stage in arch.stages}) == 1:
        return None
    remedies = {"train_time": "resources.kernels=reference", "latency": "latency.kernels=reference"}
    return (
        f"times ({', '.join(fast)}) tell of kernels as well as networks: blocks of the paper's own parts have faster "
        f"ones than their controls; {' '.join(remedies[name] for name in fast)} computes all alike"
    )


def _variants(space: Space) -> Iterator[tuple[Labels, ArchConfig]]:
    """Legal points with their networks: all of a space that can be looked through, or some."""
    if space.size > LOOKED_AT:
        points = space.sample(SAMPLED, np.random.default_rng(0)).points
        yield from ((points.labels(row), points.arch(row)) for row in range(len(points)))
        return
    for labels in space.points():
        with contextlib.suppress(IllegalVariant):
            yield labels, space.build(labels)
