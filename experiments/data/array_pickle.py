"""Reading a pickle from elsewhere that may hold only numbers, text, plain containers and numpy arrays.

A pickle names functions and calls them. Here no function of numpy is ever called: a pickle meets stand-ins,
which become arrays afterwards, of plain number types alone. It is read by the unpickler that is written in Python,
for the one in C makes room for as many memos as a pickle names.
"""

from __future__ import annotations

import io
import itertools
import pickle
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

_PLAIN_KINDS = "biuf"
_MOST_VALUES = 1_000_000
"""A batch of CIFAR-10 has 20,000; lists that hold the same list again and again have more than any memory."""


class _DtypeStandIn:
    """Takes the place of numpy.dtype: type code and byte order."""

    def __init__(self, code: str | bytes, *_: Any) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        self.order = order.decode("ascii") if isinstance(order, bytes) else order

    def dtype(self) -> np.dtype[Any]:
        dtype = np.dtype(self.code)
        if dtype.kind not in _PLAIN_KINDS:
            raise ValueError(f"an array in a data file must hold numbers, got type {self.code}; do not trust this file")
        return dtype if self.order == "|" else dtype.newbyteorder(self.order)  # type: ignore[arg-type]


class _ArrayStandIn:
    """Takes the place of numpy.ndarray and of the function that makes an empty one."""

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def array(self) -> np.ndarray[Any, Any]:
        _version, shape, dtype, is_fortran, content = self.state
        flat = np.frombuffer(content, dtype.dtype())
        return flat.reshape(shape, order="F" if is_fortran else "C")


class _OldBytes(bytes):
    """Takes the place of _codecs.encode, by which Python 3 writes bytes in old protocols."""

    def __new__(cls, text: str, encoding: str) -> bytes:  # type: ignore[misc]
        if encoding != "latin1":
            raise ValueError(
                f"bytes in a data file must be written as latin1, got {encoding!r}; do not trust this file"
            )
        return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _DtypeStandIn,
    ("numpy", "ndarray"): _ArrayStandIn,
    ("numpy.core.multiarray", "_reconstruct"): _ArrayStandIn,
    ("numpy._core.multiarray", "_reconstruct"): _ArrayStandIn,
    ("_codecs", "encode"): _OldBytes,
}
_REFUSED_CODES = (
    *(pickle.PERSID, pickle.BINPERSID, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.INST, pickle.OBJ),
    *(pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET),
    *(pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)


_Unpickler: Any = pickle._Unpickler  # of which typeshed knows half


class _ArraysOnly(_Unpickler):  # type: ignore[misc]
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise ValueError(
                f"a data file may hold only numpy arrays and plain containers, got the global "
                f"{module}.{name}; do not trust this file"
            )
        return _ADMITTED[module, name]

    def build(self) -> None:
        """BUILD sets attributes of whatever it is given; here of the stand-ins alone."""
        if not isinstance(self.stack[-2], _DtypeStandIn | _ArrayStandIn):
            raise ValueError("a data file may give a state to numpy arrays only; do not trust this file")
        self.load_build()

    def set_item(self) -> None:
        _require_plain(self.stack[-2:-1])
        self.load_setitem()

    def set_items(self) -> None:
        _require_plain(self.stack[::2])
        self.load_setitems()

    def make_dict(self) -> None:
        _require_plain(self.stack[::2])
        self.load_dict()

    dispatch: ClassVar = {
        **{code: load for code, load in _Unpickler.dispatch.items() if bytes([code]) not in _REFUSED_CODES},
        pickle.BUILD[0]: build,
        pickle.SETITEM[0]: set_item,
        pickle.SETITEMS[0]: set_items,
        pickle.DICT[0]: make_dict,
    }


def load_arrays(content: bytes) -> Any:
    """What the pickle holds; text of Python 2 comes as bytes. Raises ValueError if it asks for more."""
    try:
        return _with_arrays(_ArraysOnly(io.BytesIO(content), encoding="bytes").load(), itertools.count())
    except ValueError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise ValueError(
            f"not a pickle of numpy arrays and plain containers: {type(error).__name__}: {error}"
        ) from error


def _require_plain(keys: list[Any]) -> None:
    """Raises ValueError for keys that are not text or numbers: to hash nested ones may take for ever."""
    for key in keys:
        if not isinstance(key, str | bytes | int):
            raise ValueError(f"a key in a data file must be text, got {type(key).__name__}; do not trust this file")


def _with_arrays(value: Any, visits: Iterator[int]) -> Any:
    """The value with arrays where the stand-ins are."""
    if next(visits) >= _MOST_VALUES:
        raise ValueError(
            f"a data file may hold at most {_MOST_VALUES:,} values beside its arrays; do not trust this file"
        )
    if isinstance(value, _ArrayStandIn):
        return value.array()
    if isinstance(value, dict):
        return {key: _with_arrays(item, visits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_with_arrays(item, visits) for item in value)
    return value
