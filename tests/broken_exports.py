"""Breaks exports for real, as a program: it imports once, forks an export a time, and prints what it saw.

python tests/broken_exports.py URL STUDY CACHE FOLDER KILLS SEED PICK PICK

Some are killed at random moments, one finds a disk without room.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import timm
from rich.console import Console
from small_disk import fill, mount_small_disk

from db import StorageConfig
from experiments.export import ExportConfig, export
from experiments.export import main as export_command
from space.cli import run_entry_point

NAME = "my_variant"
NOT_ALLOWED = 77
Content = dict[str, str]
"""sha256 of each file of a folder."""


@dataclass(frozen=True)
class Kind:
    """What an export writes."""

    pick: str
    weights: str


@dataclass(frozen=True)
class Killed:
    """What one kill left."""

    exchanged: bool
    leftovers: int
    """Hidden folders beside the variant."""


class Killer:
    """Exports over one folder again and again, and kills most of them."""

    def __init__(self, config: ExportConfig, picks: tuple[str, str], seed: int) -> None:
        self.config, self.root = config, Path(config.variants)
        self.random = random.Random(seed)
        self.kinds = [Kind(pick, weights) for weights in ("none", "trial") for pick in picks]
        self.contents: dict[Kind, Content] = {}
        self.seconds: dict[Kind, float] = {}
        for kind in self.kinds:
            self.export(kind)  # here: all that is imported on use is then there for every child
            started = time.perf_counter()
            self.whole(kind)
            self.seconds[kind] = time.perf_counter() - started
            self.contents[kind] = self.content()
        assert len({str(content) for content in self.contents.values()}) == len(self.kinds)

    def whole(self, kind: Kind) -> None:
        """An export that nobody kills."""
        assert os.waitpid(self.start(kind), 0)[1] == 0, "the export must end well"
        assert os.listdir(self.root) == [NAME], "and leave nothing beside the variant"

    def kill(self, number: int) -> Killed | None:
        """Kill one export; None if it was faster."""
        old = self.kind()
        new = self.random.choice([kind for kind in self.kinds if kind.pick != old.pick])
        before = self.inode()
        child = self.start(new)
        moments: list[Callable[[int, Kind], None]] = [self.anywhere, self.anywhere, self.near_the_end, self.exchanged]
        moments[number % len(moments)](child, new)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        now = self.kind()  # fails unless the folder is whole
        assert now == (old if self.inode() == before else new)
        if not os.WIFSIGNALED(status):
            assert status == 0
            return None
        return Killed(now == new, len(list(self.partials())))

    def start(self, kind: Kind) -> int:
        """The process id of a new export."""
        if child := os.fork():
            return child
        try:
            self.export(kind)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def export(self, kind: Kind) -> None:
        export(replace(self.config, pick=kind.pick, weights=kind.weights), Console(quiet=True))

    def command(self, kind: Kind) -> None:
        """The same as a user types it."""
        words = {key: getattr(self.config, key) for key in ("study", "name", "variants", "cache", "replace")}
        words |= {"storage.url": self.config.storage.url, "pick": kind.pick, "weights": kind.weights}
        sys.argv[1:] = [f"{key}={value}" for key, value in words.items()]
        run_entry_point(export_command)

    def anywhere(self, child: int, kind: Kind) -> None:
        """A moment of its whole duration."""
        time.sleep(self.random.random() * self.seconds[kind])

    def near_the_end(self, child: int, kind: Kind) -> None:
        """A moment from where the card is written."""
        self.wait(child, lambda: any(_size(path / "README.md") for path in self.partials()))
        time.sleep(self.random.random() * 0.3 * self.seconds[kind])

    def exchanged(self, child: int, kind: Kind) -> None:
        """As soon as the new folder is in its place."""
        before = self.inode()
        self.wait(child, lambda: self.inode() != before)

    def wait(self, child: int, until: Callable[[], bool]) -> None:
        """Look ten thousand times a second, at most until the child has ended."""
        while not until() and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.0001)

    def partials(self) -> Iterator[Path]:
        return self.root.glob(f".{NAME}-*")

    def inode(self) -> int:
        return (self.root / NAME).stat().st_ino

    def content(self) -> Content:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.root / NAME).iterdir()}

    def kind(self) -> Kind:
        """What the folder holds now, whole."""
        content = self.content()
        [kind] = [kind for kind in self.kinds if self.contents[kind] == content]
        return kind

    def load(self) -> None:
        """As timm's users do."""
        timm.create_model(f"local-dir:{self.root / NAME}", pretrained=self.kind().weights == "trial")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # written in a moment, or exchanged a moment ago
        return 0


def kills(killer: Killer, number: int) -> dict[str, object]:
    """How many came when, and what is there in the end."""
    seen: list[Killed] = []
    too_late = 0
    while len(seen) < number:
        killed = killer.kill(len(seen) + too_late)
        seen += [killed] if killed else []
        too_late += killed is None
        if len(seen) % 10 == 0:
            killer.load()
    killer.whole(killer.kinds[0])
    killer.load()
    return {
        "kills": len(seen),
        "too_late": too_late,
        "before_the_exchange": sum(not killed.exchanged for killed in seen),
        "after_the_exchange": sum(killed.exchanged for killed in seen),
        "while_removing_the_old": sum(killed.exchanged and killed.leftovers > 0 for killed in seen),
    }


def disk_full(killer: Killer, folder: Path) -> dict[str, object] | None:
    """How the command ends where the disk is full; None where a small disk is not allowed here."""
    folder.mkdir()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writer, sys.stderr.fileno())
        try:
            os._exit(_export_to_a_full_disk(killer, folder))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None if code == NOT_ALLOWED else {"code": code, "said": said}


def _export_to_a_full_disk(killer: Killer, folder: Path) -> int:
    if not mount_small_disk(folder, 2**18):
        return NOT_ALLOWED
    killer.config, killer.root = replace(killer.config, variants=str(folder)), folder
    killer.export(killer.kinds[0])
    fill(folder)
    try:
        killer.command(killer.kinds[1])
    except SystemExit as ended:
        assert killer.kind() == killer.kinds[0], "the old one is there, whole"
        assert sorted(os.listdir(folder)) == ["filler", NAME], "and nothing else"
        return int(ended.code or 0)
    return 0


def main() -> None:
    """Print what was seen, as JSON."""
    url, study, cache, folder, number, seed, *picks = sys.argv[1:]
    config = ExportConfig(StorageConfig(url), study, NAME, variants=f"{folder}/variants", cache=cache, replace=True)
    killer = Killer(config, (picks[0], picks[1]), int(seed))
    full = disk_full(killer, Path(folder) / "disk")
    print(json.dumps({**kills(killer, int(number)), "disk_full": full}))


if __name__ == "__main__":
    main()
