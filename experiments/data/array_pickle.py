"""Reading a pickle from elsewhere that may hold only numbers, text, plain containers and numpy arrays.

A pickle names functions and calls them. Here no function of numpy is ever called: a pickle meets stand-ins,
which become arrays afterwards, of plain number types alone.
"""

from __future__ import annotations

import _codecs
import io
import pickle
from typing import Any

import numpy as np

_PLAIN_KINDS = "biuf"


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


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _DtypeStandIn,
    ("numpy", "ndarray"): _ArrayStandIn,
    ("numpy.core.multiarray", "_reconstruct"): _ArrayStandIn,
    ("numpy._core.multiarray", "_reconstruct"): _ArrayStandIn,
    ("_codecs", "encode"): _codecs.encode,  # how Python 3 writes bytes in old protocols
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise ValueError(
                f"a data file may hold only numpy arrays and plain containers, got the global "
                f"{module}.{name}; do not trust this file"
            )
        return _ADMITTED[module, name]


def load_arrays(content: bytes) -> Any:
    """What the pickle holds; text of Python 2 comes as bytes. Raises ValueError if it asks for more."""
    try:
        return _with_arrays(_ArraysOnly(io.BytesIO(content), encoding="bytes").load())
    except ValueError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise ValueError(
            f"not a pickle of numpy arrays and plain containers: {type(error).__name__}: {error}"
        ) from error


def _with_arrays(value: Any) -> Any:
    """The value with arrays where the stand-ins are."""
    if isinstance(value, _ArrayStandIn):
        return value.array()
    if isinstance(value, dict):
        return {_with_arrays(key): _with_arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_with_arrays(item) for item in value)
    return value
