"""Two folders change places in one step of the file system: at no moment is either path missing."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV}
"""What kernels answer where a file system does not know the exchange; overlays of containers say EXDEV."""

_AT_FDCWD = -100
_LINUX_EXCHANGE = 2  # RENAME_EXCHANGE of <linux/fs.h>
_MACOS_SWAP = 2  # RENAME_SWAP of <sys/stdio.h>


def exchange(first: Path, second: Path) -> None:
    """Let two paths of one file system change what they name.

    Raises ValueError where the system or the file system cannot; then nothing was changed.
    """
    call = _SYSTEM_CALLS.get(sys.platform)
    failed = errno.ENOSYS if call is None else call(os.fsencode(first), os.fsencode(second))
    if failed in _CANNOT:
        raise ValueError(
            f"replacing needs a file system that exchanges two folders in one step, but that of {second.parent} "
            f"cannot ({os.strerror(failed)}); remove {second} yourself, or choose another name or folder"
        )
    if failed:
        raise OSError(failed, os.strerror(failed), str(second))


def _linux(first: bytes, second: bytes) -> int:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:  # a C library from before 2018
        return errno.ENOSYS
    return ctypes.get_errno() if rename(_AT_FDCWD, first, _AT_FDCWD, second, _LINUX_EXCHANGE) else 0


def _macos(first: bytes, second: bytes) -> int:
    rename = ctypes.CDLL(None, use_errno=True).renamex_np
    return ctypes.get_errno() if rename(first, second, _MACOS_SWAP) else 0


_SYSTEM_CALLS: dict[str, Callable[[bytes, bytes], int]] = {"linux": _linux, "darwin": _macos}
"""What exchanges two paths, by platform: 0, or the number of the error."""
