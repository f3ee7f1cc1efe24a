"""What a proxy hides, told before anything is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from experiments.fidelity import Fidelity, attends, proxy_arch
from space import IllegalVariant, Space
from space.match import MATCHES
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
    trained = {arch.id: arch for arch in (_proxy(target, fidelity) for target in different.values())}
    if len(trained) < len(different):
        yield (
            f"the {len(different)} variants are only {len(trained)} different networks at this proxy's size: those "
            f"that are the same share one training; a larger proxy.width_scale or proxy.depth_scale tells them apart"
        )
    if space.match is not None:
        yield _matching(space.match, _proxy(space.base, fidelity), trained.values())


def _matching(match: str, baseline: ArchConfig, trained: Iterable[ArchConfig]) -> str:
    """How far the networks that are trained are from the cost that their targets have in common."""
    cost = MATCHES[match]
    departures = [cost.of(estimate(arch)) / cost.of(estimate(baseline)) - 1 for arch in trained]
    return (
        f"variants are matched at the target's size; at this proxy's, where parts weigh otherwise and widths are "
        f"rounded to legal ones, what is trained departs from the baseline's {cost.label} by "
        f"{100 * min(departures):+.1f} % to {100 * max(departures):+.1f} %; a proxy nearer to the target departs less"
    )


def _legal(space: Space) -> Iterator[ArchConfig]:
    for labels in space.points():
        with contextlib.suppress(IllegalVariant):
            yield space.build(labels)


def _proxy(arch: ArchConfig, fidelity: Fidelity) -> ArchConfig:
    return proxy_arch(arch, fidelity, arch.in_channels, arch.num_classes)
