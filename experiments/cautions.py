"""What a proxy hides, told before anything is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from experiments.fidelity import Fidelity, attends, matched_proxy, proxy_arch
from space import IllegalVariant, Space
from space.match import MATCHES, TOLERANCE
from transxnet.arch import ArchConfig
from transxnet.cost import estimate

LOOKED_AT = 2_000
"""Up to so many points a space is looked through before a sweep."""


def proxy_cautions(space: Space, fidelity: Fidelity) -> Iterator[str]:
    """Sentences on choices of the space that a trial at this fidelity cannot feel."""
    if not attends(_proxy(space.base, fidelity)):
        yield (
            "at this proxy every stage of the baseline has a single position to attend to, so attention does nothing; "
            "a smaller proxy.stem_stride or a larger proxy.image_size gives it more"
        )
    if space.size > LOOKED_AT:
        return
    different = {arch.id: arch for arch in _legal(space)}
    baseline = _proxy(space.base, fidelity)
    proxies = [_proxy(target, fidelity) for target in different.values()]
    if space.match is not None:
        proxies = [matched_proxy(arch, baseline, space.match) for arch in proxies]
    trained = {arch.id: arch for arch in proxies}
    if len(trained) < len(different):
        yield (
            f"the {len(different)} variants are only {len(trained)} different networks at this proxy's size: those "
            f"that are the same share one training; a larger proxy.width_scale or proxy.depth_scale tells them apart"
        )
    if space.match is not None:
        yield from _matching(space.match, baseline, trained.values())


def _matching(match: str, baseline: ArchConfig, trained: Iterable[ArchConfig]) -> Iterator[str]:
    """How far the networks that are trained are from one cost, if some are farther than their targets may be."""
    cost = MATCHES[match]
    departures = [cost.of(estimate(arch)) / cost.of(estimate(baseline)) - 1 for arch in trained]
    if max(map(abs, departures)) > TOLERANCE:
        yield (
            f"the legal widths of so small a proxy cannot match all variants within {100 * TOLERANCE:g} %: what is "
            f"trained departs from the baseline's {cost.label} by {100 * min(departures):+.1f} % to "
            f"{100 * max(departures):+.1f} %; a larger proxy.width_scale comes nearer"
        )


def kernel_caution(space: Space, objectives: Sequence[str], kernels: str) -> str | None:
    """That times compare kernels too, where an objective is a time and only some variants have the fastest kernels."""
    timed = [name for name in objectives if name in ("train_time", "latency")]
    if not timed or kernels == "reference" or space.size > LOOKED_AT:
        return None
    if len({stage.has_all_parts for arch in _legal(space) for stage in arch.stages}) == 1:
        return None
    return (
        f"{' and '.join(timed)} compare kernels as well as networks: blocks of the paper's own parts have faster "
        f"kernels than their controls; resources.kernels=reference latency.kernels=reference compute all alike"
    )


def _legal(space: Space) -> Iterator[ArchConfig]:
    for labels in space.points():
        with contextlib.suppress(IllegalVariant):
            yield space.build(labels)


def _proxy(arch: ArchConfig, fidelity: Fidelity) -> ArchConfig:
    return proxy_arch(arch, fidelity, arch.in_channels, arch.num_classes)
