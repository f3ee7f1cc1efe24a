"""Processes that start in milliseconds: a program that imports what they need, and forks one for each line it reads.

It runs functions of text, named as `module:function`; what they write to stdout and stderr goes to a file.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Forks:
    """Starts processes; all are gone in the end."""

    program: subprocess.Popen[str]
    _living: set[int] = field(default_factory=set)

    def start(self, function: str, *words: str, said: Path) -> int:
        """The number of a process that runs a function."""
        process = int(self._ask({"function": function, "words": words, "said": str(said)})["process"])
        self._living.add(process)
        return process

    def wait(self, process: int, timeout_s: float = 120) -> int:
        """The exit code; minus the signal that ended it."""
        deadline = time.monotonic() + timeout_s
        while (code := self._ask({"poll": process})["code"]) is None:
            assert time.monotonic() < deadline, f"process {process} did not end in {timeout_s} s"
            time.sleep(0.005)
        self._living.discard(process)
        return int(code)

    def kill(self, process: int, number: int = signal.SIGKILL) -> int:
        """Send a signal to a process that may have ended, and wait for its end."""
        if self._ask({"poll": process})["code"] is None:
            os.kill(process, number)
        return self.wait(process)

    def end(self) -> None:
        for process in tuple(self._living):
            self.kill(process)
        self.program.kill()
        self.program.wait()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        self.program.stdin.write(json.dumps(request) + "\n")
        self.program.stdin.flush()
        line = self.program.stdout.readline()
        assert line, "the program that forks has died"
        return dict(json.loads(line))


@contextmanager
def forking(*modules: str) -> Iterator[Forks]:
    """With a program that has these modules imported."""
    words = [sys.executable, "-W", "ignore", __file__, *modules]
    forks = Forks(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    try:
        yield forks
    finally:
        forks.end()


def run(function: str, words: list[str], said: str) -> None:
    """Call a function as the whole of a process."""
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    module, name = function.split(":")
    getattr(importlib.import_module(module), name)(*words)


def main() -> None:
    for module in sys.argv[1:]:
        importlib.import_module(module)
    codes: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            process = request["poll"]
            if process not in codes and (ended := os.waitpid(process, os.WNOHANG))[0]:
                codes[process] = os.waitstatus_to_exitcode(ended[1])
            print(json.dumps({"code": codes.get(process)}), flush=True)
            continue
        process = os.fork()
        if process == 0:
            code = 1
            try:
                run(**request)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(json.dumps({"process": process}), flush=True)


if __name__ == "__main__":
    main()
