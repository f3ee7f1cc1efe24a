"""Processes that start in milliseconds: a program that has imported what they need forks one for each line it reads.

Both ends: `ForkServer` asks, `serve` answers. forks.py and zygote.py say what the processes do.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

FAULT = 70
"""Exit code of a process that an exception ended."""


@dataclass
class ForkServer:
    """Starts processes; all are gone in the end."""

    program: subprocess.Popen[str]
    _living: set[int] = field(default_factory=set)

    def begin(self, **request: Any) -> int:
        """The number of a new process, which does what the program makes of the request."""
        process = int(self._ask(request)["process"])
        self._living.add(process)
        return process

    def ended(self, process: int) -> bool:
        return self._ask({"poll": process})["code"] is not None

    def wait(self, process: int, timeout_s: float = 120) -> int:
        """The exit code; minus the signal that ended it."""
        deadline = time.monotonic() + timeout_s
        while (code := self._ask({"poll": process})["code"]) is None:
            assert time.monotonic() < deadline, f"process {process} did not end in {timeout_s} s"
            time.sleep(0.01)
        self._living.discard(process)
        return int(code)

    def kill(self, process: int, number: int = signal.SIGKILL) -> int:
        """Send a signal to a process that may have ended, and wait for its end."""
        if not self.ended(process):
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


Server = TypeVar("Server", bound=ForkServer)


def launch(server: type[Server], program: Path, *words: str) -> Server:
    """Start a program that calls `serve`."""
    command = [sys.executable, "-W", "ignore", str(program), *words]
    return server(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))


def serve(work: Callable[..., None]) -> None:
    """Fork for each request on stdin, and let the child do `work(**request)`; tell the ends of those asked for."""
    codes: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            answer = {"code": _code_of(request["poll"], codes)}
        elif process := os.fork():
            answer = {"process": process}
        else:
            _become(work, request)
        print(json.dumps(answer), flush=True)


def _code_of(process: int, codes: dict[int, int]) -> int | None:
    """The exit code of a child that has ended, which the system tells once."""
    if process not in codes and (ended := os.waitpid(process, os.WNOHANG))[0]:
        codes[process] = os.waitstatus_to_exitcode(ended[1])
    return codes.get(process)


def _become(work: Callable[..., None], request: dict[str, Any]) -> None:
    """Be a program that does this alone."""
    code = FAULT
    try:
        work(**request)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def write_to(file: Path | str) -> None:
    """From now on this process writes what it says to the end of a file."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
