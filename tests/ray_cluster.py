"""A Ray cluster of the tests' own on this machine, with a token: real nodes, that a test may add and kill."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class RayCluster:
    """Its head has no CPUs; workers are added."""

    process: subprocess.Popen[str]
    folder: Path
    address: str = ""

    @property
    def token_file(self) -> Path:
        return self.folder / "token"

    @property
    def words(self) -> list[str]:
        """What a sweep needs to run on it."""
        return [
            f"ray.address={self.address}",
            f"ray.token_file={self.token_file}",
            f"ray.storage={self.folder / 'storage'}",
        ]

    def add(self, name: str, **settings: Any) -> str:
        """Start a node with these words of Ray's; returns its id."""
        return str(self.ask({"add": name, "settings": settings})["node"])

    def kill(self, name: str) -> None:
        """End a node's processes with SIGKILL."""
        self.ask({"kill": name})

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the cluster has died: {(self.folder / 'said').read_text()}"
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def running_cluster() -> Iterator[RayCluster]:
    """A cluster of its head alone; all of it is gone in the end."""
    with tempfile.TemporaryDirectory(prefix="ray-") as name:  # sockets lie below it, whose paths must be short
        folder = Path(name)
        token = os.open(folder / "token", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(token, secrets.token_hex(32).encode())
        os.close(token)
        authentication = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
        words = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("cluster_main.py"))]
        with (folder / "said").open("w") as said:
            process = subprocess.Popen(
                words,
                env={**os.environ, **authentication, "RAY_TMPDIR": name},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        cluster = RayCluster(process, folder)
        try:
            cluster.address = cluster.read()["address"]
            yield cluster
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
