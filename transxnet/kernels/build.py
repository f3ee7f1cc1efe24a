"""python -m transxnet.kernels.build: compile the native CPU kernels for this machine."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import NoReturn

from transxnet.kernels.native import library


class _Parser(argparse.ArgumentParser):
    """Tells a wrong word in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; --help lists what there is\n")


def main() -> int:
    """Build, load, say where and for which instruction set; 2 if that cannot be done."""
    parser = _Parser(prog="python -m transxnet.kernels.build", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to put the library, the user's cache by default")
    parser.add_argument("--sanitize", help="a sanitizer of the compiler, such as address or undefined, for tests")
    arguments = parser.parse_args()
    started = time.perf_counter()
    try:
        path = library.build(arguments.folder, arguments.sanitize)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        fact = f"{error.filename} ({error.strerror})"
        print(f"error: --folder must be a folder that can be written, got {fact}; name another", file=sys.stderr)
        return 2
    seconds = time.perf_counter() - started
    if arguments.sanitize:
        print(f"built {path} in {seconds:.0f} s with the {arguments.sanitize} sanitizer")
        return 0
    library.load(arguments.folder)
    print(f"built {path} in {seconds:.0f} s; this machine runs its {library.instruction_set()} kernels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
