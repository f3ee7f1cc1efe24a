"""Files and folders that are wrong, for the table of bad inputs: each function prepares a folder."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bad_input import STUDY, Materials, Prepare
from PIL import Image

OWN_SPACE = """
name: mine
about: A space of a user.
base: transxnet_t
dimensions:
  idconv_groups: {vary: tied, choices: [1, 2]}
"""


def config(text: str | bytes, name: str = "space/mine") -> Prepare:
    """A folder `conf` with one file."""

    def prepare(materials: Materials, folder: Path) -> None:
        path = folder / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return prepare


def space_with(dimensions: str, more: str = "") -> Prepare:
    """A user's space of these dimensions."""
    return config(f"name: mine\nabout: x\nbase: transxnet_t\n{more}dimensions: {dimensions}\n")


def aliases(levels: int) -> str:
    """A few lines that stand for 9^levels values."""
    names = [f"a{level}" for level in range(levels)]
    lines = [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in itertools.pairwise(names)]
    return "\n".join(["a0: &a0 [1, 2]", *lines])


def weights(change: Callable[[Path], object]) -> Prepare:
    """The finished study with the weights of its trials, after something was done to each file."""

    def prepare(materials: Materials, folder: Path) -> None:
        from safetensors.torch import save_file

        from db import Store
        from experiments.weights import keep_weights
        from transxnet.arch import ArchConfig
        from transxnet.network import TransXNet

        with Store.open(f"sqlite:///{materials.copy_record(folder)}") as store:
            stored = store.architectures(STUDY)
            source = folder / "source.safetensors"
            for trial in store.trials(STUDY):
                network = TransXNet(ArchConfig.from_dict(stored[trial.trained_arch_id].description))
                save_file(network.state_dict(), source)
                change(source)
                store.write([keep_weights(trial, source, folder / "runs" / STUDY / "weights")])
            source.unlink()

    return prepare


def state_changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Something that is done to a file of tensors."""

    def done(path: Path) -> None:
        from safetensors.torch import load_file, save_file

        state = load_file(path)
        change(state)
        save_file(state, path)

    return done


def file(name: str, content: bytes = b"") -> Prepare:
    """A file in the folder, or below it."""

    def prepare(materials: Materials, folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return prepare


def record(materials: Materials, folder: Path) -> None:
    """The finished study."""
    materials.copy_record(folder)


def record_changed(change: Callable[[Path], object]) -> Prepare:
    """The finished study, after something was done to its file."""

    def prepare(materials: Materials, folder: Path) -> None:
        change(materials.copy_record(folder))

    return prepare


def record_after(statement: str) -> Prepare:
    """The finished study, after a statement of SQL."""

    def change(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()

    return record_changed(change)


def overwrite_page_in_the_middle(path: Path) -> None:
    """As a bad disk does."""
    page = 4096
    with path.open("r+b") as opened:
        opened.seek(path.stat().st_size // page // 2 * page)
        opened.write(b"\xa5" * page)


def overwrite_all_pages_but_the_first(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\xa5" * (size - 4096))


def cut_in_half(path: Path) -> None:
    """As a copy that was broken off leaves it."""
    with path.open("r+b") as opened:
        opened.truncate(path.stat().st_size // 2 // 4096 * 4096)


def read_only(path: Path) -> None:
    path.chmod(0o444)


def somebody_elses(materials: Materials, folder: Path) -> None:
    (folder / "runs").mkdir()
    with sqlite3.connect(folder / "runs" / "transxnet.db") as connection:
        connection.execute("CREATE TABLE patients (name TEXT)")
    connection.close()


def pictures(change: Callable[[Path], object]) -> Prepare:
    """Folders of two classes with images, after something was done to them."""

    def prepare(materials: Materials, folder: Path) -> None:
        root = folder / "pictures"
        for split in ("train", "val"):
            for label, name in enumerate(("cat", "dog")):
                (root / split / name).mkdir(parents=True)
                for number in range(4):
                    Image.new("RGB", (12, 10), (60 * label, 20 * number, 0)).save(root / split / name / f"{number}.png")
        change(root)

    return prepare


def bad_picture(content: bytes) -> Prepare:
    """A file among the others that is no image, or none to be used."""
    return pictures(lambda root: (root / "train" / "dog" / "bad.png").write_bytes(content))


def png(width: int, height: int) -> bytes:
    """An image that is black and well compressed: a bomb, if it is large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    row = b"\0" * (1 + (width + 7) // 8)
    rows = row * min(height, 100)  # of a bomb no more is ever read
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def arrays(**changes: Any) -> Prepare:
    """`own.npz` of two classes with other arrays in place of some, None leaving one out."""

    def prepare(materials: Materials, folder: Path) -> None:
        images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
        labels = np.arange(40) % 2
        given = {"x_train": images, "y_train": labels, "x_test": images[:8], "y_test": labels[:8], **changes}
        np.savez(folder / "own.npz", **{name: array for name, array in given.items() if array is not None})

    return prepare


def without(name: str) -> Callable[[Path], object]:
    """Removes a folder below the one given."""
    return lambda root: shutil.rmtree(root / name)


def emptied(name: str) -> Callable[[Path], object]:
    """Removes all files of a folder below the one given."""
    return lambda root: [path.unlink() for path in (root / name).iterdir()]
