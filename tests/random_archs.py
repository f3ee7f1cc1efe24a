"""Random legal architectures for property tests: every operator and setting, small enough to build hundreds."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

from transxnet.arch import ArchConfig, StageConfig
from transxnet.operators import WORDS

KERNELS = [(1,), (3,), (1, 3), (3, 5), (1, 3, 5, 7)]


@st.composite
def stages(draw: st.DrawFn, few: bool = False) -> StageConfig:
    """A legal stage; `few` draws from so few values that equal networks under different words are common."""
    some = (lambda *values: st.sampled_from(values[:2])) if few else (lambda *values: st.sampled_from(values))
    heads = draw(some(1, 2, 3))
    fields = {
        "depth": draw(st.just(1) if few else st.sampled_from([1, 1, 1, 1, 2])),
        "width": heads * 4 * draw(some(2, 4, 3)),
        "heads": heads,
        "osr_stride": draw(some(1, 2, 4, 8)),
        "osr_overlap": draw(some(3, 0, 1)),
        "idconv_share": draw(some(0.5, 0.25, 0.75)),
        "idconv_kernel": draw(some(3, 5, 1, 7)),
        "idconv_groups": draw(some(1, 2, 4, 8)),
        "idconv_reduction": draw(some(1, 2)),
        "ffn_ratio": draw(some(2.0, 2.01, 1.0, 4.0)),
        "ffn_kernels": draw(some((3,), (1, 3), *KERNELS)),
        "ste_reduction": draw(some(8, 4)),
        "ste_floor": draw(some(16, 4)),
        "dpe_kernel": draw(some(3, 5, 7)),
        **{name: draw(st.sampled_from(words)) for name, words in WORDS.items()},
        **{name: draw(st.booleans()) for name in ("dpe", "position_table", "layer_scale")},
    }
    try:
        return StageConfig(**fields)
    except ValueError:
        assume(False)
        raise


@st.composite
def architectures(draw: st.DrawFn, few: bool = False) -> ArchConfig:
    """A legal architecture, its image square or not; `few` as in `stages`, three stages being the same in all."""
    drawn = draw(stages(few))
    others = [draw(stages()) for _ in range(3)] if not few else [FIXED] * 3
    return ArchConfig(
        stages=(drawn, *others),
        image_size=(draw(sizes(few)), draw(sizes(few))),
        stem_stride=draw(st.sampled_from([4, 2] if few else [1, 2, 4])),
        in_channels=draw(st.sampled_from([3] if few else [1, 3])),
        num_classes=draw(st.sampled_from([7] if few else [0, 7])),
    )


def sizes(few: bool = False) -> st.SearchStrategy[int]:
    """A side of an image, in pixels: maps are larger and smaller than what attention pools to, odd and even."""
    return st.sampled_from([32, 31]) if few else st.integers(9, 36)


FIXED = StageConfig(
    depth=1, width=8, heads=1, osr_stride=1, local_mixer="dwconv", global_mixer="none", token_enhancer="none",
    ffn="plain", dpe=False, position_table=False, layer_scale=False,
)  # fmt: skip
"""A stage of few operations."""
