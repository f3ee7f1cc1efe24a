"""Data sets from the user's files: what is read, and what is refused in one line."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments.data import cifar10, imagefolder, npz
from experiments.data.array_pickle import load_arrays
from experiments.data.parts import SPLITS, Request
from experiments.data.resize import resize_images


def request(path: Path, size: int = 8) -> Request:
    return Request(path, size, validation_share=0.25, split_seed=0)


def test_images_of_the_right_size_are_not_resampled() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 9, 9), np.uint8)
    assert np.array_equal(resize_images(images, 9), images)


def test_resizing_is_that_of_the_short_side_with_a_centre_crop() -> None:
    image = np.random.default_rng(0).integers(0, 256, (10, 30), np.uint8)
    whole = np.asarray(Image.fromarray(image).resize((15, 5), Image.Resampling.BILINEAR))
    assert np.array_equal(resize_images(image[None, None], 5)[0, 0], whole[:, 5:10])


# npz


def save_npz(path: Path, **changes: Any) -> Path:
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (40, 8, 8), np.uint8),
        "y_train": np.arange(40) % 4,
        "x_test": rng.integers(0, 256, (12, 8, 8), np.uint8),
        "y_test": np.arange(12) % 4,
    }
    arrays.update(changes)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_npz_keeps_pixels_labels_and_the_test_split(tmp_path: Path) -> None:
    file = save_npz(tmp_path / "own.npz", index_train=np.arange(40))
    parts = npz.make(request(file))
    stored = np.load(file)
    assert np.array_equal(parts.test.images[:, 0], stored["x_test"])
    assert np.array_equal(parts.test.labels, stored["y_test"])
    assert np.bincount(parts.train.labels).tolist() == [8] * 4
    together = {image.tobytes() for split in parts.splits[:2] for image in split.images}
    assert together == {image.tobytes() for image in stored["x_train"]}


def test_npz_puts_channels_first(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    file = save_npz(tmp_path / "own.npz", x_train=np.tile(images[:10], (4, 1, 1, 1)), x_test=images)
    assert np.array_equal(npz.make(request(file)).test.images[5, 2], images[5, :, :, 2])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"y_test": None, "x_test": None}, "lacks x_test, y_test"),
        ({"x_train": np.zeros((40, 8, 8))}, "x_train must be uint8.*float64"),
        ({"x_train": np.zeros((40, 3, 8, 8), np.uint8)}, "transpose"),
        ({"x_train": np.zeros((40, 64), np.uint8)}, r"got \[40, 64\]"),
        ({"x_test": np.zeros((12, 9, 9), np.uint8)}, "one size and channels"),
        ({"y_train": np.zeros(40)}, "y_train must be whole numbers.*float64"),
        ({"y_train": np.zeros((40, 1), int)}, r"\[40, 1\]"),
        ({"y_test": np.zeros(11, int)}, r"y_test must be whole numbers \[12\]"),
        ({"y_train": np.arange(40) % 4 + 1}, "number the classes 0 to 3"),
        ({"y_train": np.arange(40) % 4 - 1}, "number the classes 0 to 3"),
        ({"y_test": np.full(12, 7)}, "got 7"),
        ({"y_train": np.array([{}] * 40)}, "allow_pickle"),
        ({"x_train": np.zeros((0, 8, 8), np.uint8), "y_train": np.zeros(0, int)}, "x_train must be"),
    ],
)
def test_wrong_arrays_are_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told) as error:
        npz.make(request(save_npz(tmp_path / "own.npz", **changes)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"text", pickle.dumps([1])])
def test_a_file_that_is_no_npz_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"own\.npz must be an \.npz file"):
        npz.make(request(tmp_path / "own.npz"))


def test_a_plain_npy_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "own.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=r"own\.npz must be an \.npz file"):
        npz.make(request(tmp_path / "own.npz"))


# CIFAR-10

PER_CLASS = (5, 2)
"""Images of each class in training and test of the small copies."""


def python2_batch(data: np.ndarray, labels: list[int]) -> bytes:
    """A batch as Python 2 wrote it: protocol 2, with text that is bytes."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    raw = data.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b") + b"tR(K\x01("
        + b"".join(b"M" + size.to_bytes(2, "little") for size in data.shape)
        + b"tcnumpy\ndtype\n(" + text(b"u1") + b"K\x00K\x01tR(K\x03" + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    )  # fmt: skip
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + numbers + b"u."


def cifar_files(python2: bool = False) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    files = {"batches.meta": pickle.dumps({b"label_names": [f"class{i}".encode() for i in range(10)]}, 2)}
    for name in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE):
        labels = list(range(10)) * (2 if name == cifar10.TEST_FILE else 1)
        data = rng.integers(0, 256, (len(labels), 3072), np.uint8)
        batch = {b"data": data, b"labels": labels}
        files[name] = python2_batch(data, labels) if python2 else pickle.dumps(batch, 2)
    return files


def write_cifar(folder: Path, files: dict[str, bytes]) -> Path:
    batches = folder / "cifar-10-batches-py"
    batches.mkdir()
    for name, content in files.items():
        (batches / name).write_bytes(content)
    return folder


def write_archive(folder: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(folder / "cifar.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder / "cifar.tar.gz"


@pytest.mark.parametrize("python2", [True, False])
@pytest.mark.parametrize("place", ["parent", "folder", "archive"])
def test_cifar10_is_read_in_its_order(place: str, python2: bool, tmp_path: Path) -> None:
    files = cifar_files(python2)
    path = write_archive(tmp_path, files) if place == "archive" else write_cifar(tmp_path, files)
    path = path / "cifar-10-batches-py" if place == "folder" else path
    names, train, test = cifar10.read_batches(path, *PER_CLASS)
    assert names[3] == "class3"
    assert (len(train), len(test)) == (50, 20)
    first = np.random.default_rng(0).integers(0, 256, (10, 3072), np.uint8)
    assert np.array_equal(train.images[:10].reshape(10, -1), first)  # a row is red, green, blue planes
    assert train.labels[:10].tolist() == list(range(10))
    assert sorted(tmp_path.iterdir()) == [tmp_path / ("cifar.tar.gz" if place == "archive" else "cifar-10-batches-py")]


def test_a_cifar10_with_too_few_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must have 5000 images of each of 10 classes, got 50 images"):
        cifar10.make(request(write_cifar(tmp_path, cifar_files()), 32))


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ({b"labels": [0]}, "test_batch must have the key data"),
        ({b"data": np.zeros((20, 3072)), b"labels": [0] * 20}, "uint8.*got float64"),
        ({b"data": np.zeros((20, 100), np.uint8), b"labels": [0] * 20}, r"\[20, 100\]"),
        ({b"data": [1], b"labels": [0]}, "got list"),
        ({b"data": np.zeros((20, 3072), np.uint8), b"labels": [0] * 20}, "2 images of each"),
        ({b"data": np.zeros((20, 3072), np.uint8), b"labels": [-1] * 20}, "2 images of each"),
        ([1, 2], "must be a dictionary, got list"),
    ],
)
def test_a_wrong_batch_is_refused(batch: Any, told: str, tmp_path: Path) -> None:
    files = cifar_files() | {"test_batch": pickle.dumps(batch, 2)}
    with pytest.raises(ValueError, match=told) as error:
        cifar10.read_batches(write_cifar(tmp_path, files), *PER_CLASS)
    assert "\n" not in str(error.value)


def test_an_incomplete_or_broken_archive_is_refused(tmp_path: Path) -> None:
    files = cifar_files()
    del files["data_batch_3"]
    archive = write_archive(tmp_path, files)
    with pytest.raises(ValueError, match="lacks data_batch_3"):
        cifar10.read_batches(archive, *PER_CLASS)
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(ValueError, match="must be the archive"):
        cifar10.read_batches(archive, *PER_CLASS)


class Touch:
    """Unpickling it in the ordinary way makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_malicious_pickle_touches_nothing(protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    content = pickle.dumps({b"data": Touch(canary), b"labels": [0]}, protocol)
    files = cifar_files() | {"data_batch_1": content}
    with pytest.raises(ValueError, match=r"data_batch_1: .*only numpy arrays.*global (posix|nt)\.system"):
        cifar10.read_batches(write_cifar(tmp_path, files), *PER_CLASS)
    assert not canary.exists()
    pickle.loads(content)
    assert canary.exists(), "the pickle would have done it"


@pytest.mark.parametrize(
    "harmful",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"cnumpy.testing\nrun_module_suite\n.",
    ],
)
def test_no_other_global_is_admitted(harmful: bytes) -> None:
    with pytest.raises(ValueError, match="only numpy arrays and plain containers"):
        load_arrays(harmful)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(4, dtype=">i4"),
        np.array([True, False]),
    ],
)
def test_arrays_come_back_as_they_were(array: np.ndarray) -> None:
    for protocol in (0, 2, 3, 4):
        loaded = load_arrays(pickle.dumps({"a": [array, (1, "x")]}, protocol))["a"]
        assert np.array_equal(loaded[0], array)
        assert loaded[0].dtype == array.dtype
        assert loaded[1] == (1, "x")


@pytest.mark.parametrize("content", [np.array([{}, {}]), np.zeros(2, [("a", "O")]), np.array(["x"])])
def test_arrays_of_other_than_numbers_are_refused(content: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must hold numbers"):
        load_arrays(pickle.dumps(content, 2))


@pytest.mark.parametrize("content", [b"", b"junk", b"\x80\x02}", pickle.dumps(np.zeros(9), 2)[:-40]])
def test_a_damaged_pickle_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a pickle of"):
        load_arrays(content)


# imagefolder


def write_image(file: Path, colour: tuple[int, int, int], mode: str = "RGB") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), colour).convert(mode).save(file)


def write_folders(root: Path, splits: tuple[str, ...], per_class: int = 8) -> Path:
    for part, split in enumerate(splits):
        for label, name in enumerate(("cat", "dog")):
            for number in range(per_class):
                write_image(root / split / name / f"{number}.png", (50 * part, 100 * label, number))
    return root


def test_without_a_test_folder_val_tests_and_a_part_of_train_validates(tmp_path: Path) -> None:
    parts = imagefolder.make(request(write_folders(tmp_path, ("train", "val"))))
    assert [len(split) for split in parts.splits] == [12, 4, 16]
    assert [set(split.images[:, 0].ravel()) for split in parts.splits] == [{0}, {0}, {50}]
    assert not set(parts.train.images[parts.train.labels == 0][:, 2, 0, 0]) & set(
        parts.validation.images[parts.validation.labels == 0][:, 2, 0, 0]
    )
    assert parts.class_names == ("cat", "dog")
    assert set(parts.test.images[parts.test.labels == 1][:, 1].ravel()) == {100}


def test_with_a_test_folder_each_folder_is_its_split(tmp_path: Path) -> None:
    parts = imagefolder.make(request(write_folders(tmp_path, ("train", "val", "test"))))
    assert [set(split.images[:, 0].ravel()) for split in parts.splits] == [{0}, {50}, {100}]
    assert [len(split) for split in parts.splits] == [16, 16, 16]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_images_of_any_mode_become_rgb(mode: str, tmp_path: Path) -> None:
    write_folders(tmp_path, ("train", "val"))
    suffix = "tif" if mode == "CMYK" else "png"
    write_image(tmp_path / "val" / "cat" / f"x.{suffix}", (255, 255, 255), mode)
    parts = imagefolder.make(request(tmp_path))
    assert parts.test.images.shape[1:] == (3, 8, 8)
    assert parts.test.images.max() >= 254


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    write_folders(tmp_path, ("train", "val"))
    (tmp_path / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "train" / ".cache").mkdir()
    assert len(imagefolder.make(request(tmp_path)).train) == 12


@pytest.mark.parametrize("content", [b"text", b"", b"\x89PNG\r\n\x1a\n broken"])
def test_an_unreadable_file_is_named(content: bytes, tmp_path: Path) -> None:
    write_folders(tmp_path, ("train", "val"))
    (tmp_path / "train" / "dog" / "bad.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"dog/bad\.png cannot be used") as error:
        imagefolder.make(request(tmp_path))
    assert "\n" not in str(error.value)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    write_folders(tmp_path, ("train", "val"))
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    file = tmp_path / "val" / "dog" / "cut.png"
    Image.fromarray(pixels).save(file)
    file.write_bytes(file.read_bytes()[:1500])
    with pytest.raises(ValueError, match=r"cut\.png cannot be used"):
        imagefolder.make(request(tmp_path))


def test_wrong_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train is missing"):
        imagefolder.make(request(tmp_path))
    write_folders(tmp_path, ("train", "val"))
    (tmp_path / "val" / "owl").mkdir()
    with pytest.raises(ValueError, match="owl is empty"):
        imagefolder.make(request(tmp_path))
    write_image(tmp_path / "val" / "owl" / "0.png", (0, 0, 0))
    with pytest.raises(ValueError, match="differ in 'owl'"):
        imagefolder.make(request(tmp_path))


def test_imagefolder_decodes_into_the_room_that_it_is_given_and_holds_no_split_in_memory(tmp_path: Path) -> None:
    write_folders(tmp_path, ("train", "val"), per_class=250)
    room: dict[str, np.ndarray] = {}

    def allocate(split: str, shape: tuple[int, ...]) -> np.ndarray:
        room[split] = np.memmap(tmp_path / f"{split}.mapped", np.uint8, "w+", shape=shape)
        return room[split]

    asked = dataclasses.replace(request(tmp_path, 64), allocate=allocate)
    tracemalloc.start()
    parts = imagefolder.make(asked)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [split.images is room[name] for name, split in zip(SPLITS, parts.splits, strict=True)] == [True] * 3
    assert peak < sum(images.nbytes for images in room.values()) / 3
    plain = imagefolder.make(request(tmp_path, 64))
    assert all(np.array_equal(one.images, two.images) for one, two in zip(parts.splits, plain.splits, strict=True))
