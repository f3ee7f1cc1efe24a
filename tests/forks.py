"""Processes that run functions of text, named as `module:function`, and start in milliseconds."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fork_server import ForkServer, launch, serve, write_to


class Forks(ForkServer):
    """Starts such processes."""

    def start(self, function: str, *words: str, said: Path) -> int:
        """The number of a process that runs a function; what it writes to stdout and stderr goes to a file."""
        return self.begin(function=function, words=words, said=str(said))


@contextmanager
def forking(*modules: str) -> Iterator[Forks]:
    """With a program that has these modules imported."""
    forks = launch(Forks, Path(__file__), *modules)
    try:
        yield forks
    finally:
        forks.end()


def run(function: str, words: list[str], said: str) -> None:
    """Call a function as the whole of a process."""
    write_to(said)
    module, name = function.split(":")
    getattr(importlib.import_module(module), name)(*words)


def execute(code: str) -> None:
    """Be `python -c CODE`."""
    sys.path.insert(0, "")
    exec(code, {})


if __name__ == "__main__":
    for module in sys.argv[1:]:
        importlib.import_module(module)
    serve(run)
