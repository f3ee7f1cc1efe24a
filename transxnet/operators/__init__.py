"""The operators that may stand in each place of a block: one table a place, one entry an operator. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping

from transxnet.operators.enhancers import ENHANCERS
from transxnet.operators.ffns import FFNS
from transxnet.operators.global_mixers import GLOBAL_MIXERS
from transxnet.operators.local_mixers import LOCAL_MIXERS
from transxnet.operators.operator import Operator, Setting

PLACES: Mapping[str, Mapping[str, Operator]] = {
    "local_mixer": LOCAL_MIXERS,
    "global_mixer": GLOBAL_MIXERS,
    "token_enhancer": ENHANCERS,
    "ffn": FFNS,
}
"""Table of operators by the field of StageConfig that names one of them."""

MIXINGS: Mapping[str, str] = {
    "parallel": "the channels are split between the two mixers (TransXNet)",
    "series": "all channels go through the local mixer, then all through the global one",
}
"""How two mixers work together."""

WORDS: Mapping[str, tuple[str, ...]] = {
    **{place: tuple(table) for place, table in PLACES.items()},
    "mixing": tuple(MIXINGS),
}
"""The words that a field of StageConfig may hold, for those that hold words."""

_MIXED = ("local_mixer", "global_mixer", "mixing", "idconv_share")


def _felt(place: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(field for operator in PLACES[place].values() for field in operator.fields))


PARTS: Mapping[str, tuple[str, ...]] = {
    "local_mixer": (*_MIXED, *_felt("local_mixer")),
    "global_mixer": (*_MIXED, *_felt("global_mixer"), "position_table"),
    "token_enhancer": ("token_enhancer", *_felt("token_enhancer")),
    "ffn": ("ffn", *_felt("ffn")),
    "dpe": ("dpe", "dpe_kernel"),
    "layer_scale": ("layer_scale",),
}
"""Part of a block -> the fields of StageConfig that it feels, beside width."""

__all__ = ["ENHANCERS", "FFNS", "GLOBAL_MIXERS", "LOCAL_MIXERS", "MIXINGS", "PARTS", "PLACES", "WORDS", "Operator",
           "Setting"]  # fmt: skip
