"""Data sets: choosing one, the cache, the fingerprint, and what holds for all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.data import cache
from experiments.data.config import DataConfig
from experiments.data.fingerprint import fingerprint
from experiments.data.load import Dataset, load_dataset
from experiments.data.parts import Parts, Request, Split
from experiments.data.stratify import split_off, take_share
from experiments.data.table import DATASETS

ROOT = Path(__file__).parents[1]
TEST_DATA = os.environ.get("TRANSXNET_TEST_DATA")


def random_split(count: int, classes: int = 3, channels: int = 3, size: int = 8, seed: int = 0) -> Split:
    images = np.random.default_rng(seed).integers(0, 256, (count, channels, size, size), np.uint8)
    return Split(images, np.arange(count, dtype=np.int64) % classes)


def random_parts(seed: int = 0) -> Parts:
    return Parts(("a", "b", "c"), *(random_split(count, seed=seed) for count in (30, 12, 9)))


def write_npz(path: Path, count: int = 60, size: int = 12) -> Path:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, count, size, size, 3), np.uint8)
    labels = np.arange(count) % 4
    np.savez(path, x_train=images[0], y_train=labels, x_test=images[1], y_test=labels)
    return path


def write_imagefolder(folder: Path, splits: tuple[str, ...] = ("train", "val"), per_class: int = 6) -> Path:
    rng = np.random.default_rng(0)
    for split in splits:
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            for number in range(per_class):
                pixels = rng.integers(0, 256, (20, 30, 3), np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{number}.png")
    return folder


@pytest.fixture(params=["digits", "npz", "imagefolder", "photos"])
def config(request: pytest.FixtureRequest, tmp_path: Path, shared_cache: Path) -> DataConfig:
    if request.param == "npz":
        return DataConfig("npz", str(write_npz(tmp_path / "own.npz")), cache=str(tmp_path / "cache"))
    if request.param == "imagefolder":
        return DataConfig("imagefolder", str(write_imagefolder(tmp_path)), cache=str(tmp_path / "cache"))
    return DataConfig(request.param, cache=str(shared_cache))


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_a_data_set_has_uint8_squares_with_labels_in_three_splits(config: DataConfig) -> None:
    dataset = load_dataset(config, 16)
    for split in (dataset.train, dataset.validation, dataset.test):
        assert isinstance(split.images, np.memmap)
        assert split.images.dtype == np.uint8
        assert split.images.shape == (len(split), dataset.channels, 16, 16)
        assert set(np.unique(split.labels)) == set(range(dataset.num_classes))


def test_no_image_is_in_two_splits(config: DataConfig) -> None:
    dataset = load_dataset(config, 16)
    splits = [{image.tobytes() for image in part.images} for part in (dataset.train, dataset.validation, dataset.test)]
    assert not splits[0] & splits[1] | splits[0] & splits[2] | splits[1] & splits[2]


def test_another_split_seed_moves_validation_but_never_test(config: DataConfig) -> None:
    first = load_dataset(config, 8)
    second = load_dataset(DataConfig(**{**first.describe()["config"], "split_seed": 1}), 8)
    assert np.array_equal(first.test.images, second.test.images)
    assert not np.array_equal(first.validation.images, second.validation.images)


def test_the_same_data_are_made_twice_alike(config: DataConfig, tmp_path: Path) -> None:
    elsewhere = DataConfig(**{**load_dataset(config, 8).describe()["config"], "cache": str(tmp_path / "two")})
    assert load_dataset(config, 8).fingerprint == load_dataset(elsewhere, 8).fingerprint
    assert load_dataset(config, 8).fingerprint != load_dataset(config, 9).fingerprint


def test_the_description_is_json_that_opens_the_data_again(config: DataConfig) -> None:
    dataset = load_dataset(config, 16)
    description = json.loads(json.dumps(dataset.describe()))
    again = load_dataset(DataConfig(**description["config"]), description["image_size"])
    assert again.describe() == description
    assert description["classes"] == len(description["class_names"])
    assert description["sizes"]["test"] == len(dataset.test)


def test_every_data_set_says_in_one_sentence_what_it_is() -> None:
    for name, kind in DATASETS.items():
        assert kind.about
        assert "\n" not in kind.about
        config_file = ROOT / "experiments" / "conf" / "data" / f"{name}.yaml"
        assert f"name: {name}\n" in config_file.read_text()
    assert "tau 0.56" in str(DATASETS["photos"].caution)
    assert "tau 0.66" in str(DATASETS["digits"].caution)
    assert [name for name, kind in DATASETS.items() if not kind.flip_safe] == ["digits"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"name": "cifar"}, "did you mean cifar10"),
        ({"name": "qqq"}, "known are photos, digits"),
        ({"name": "npz"}, "needs a path"),
        ({"name": "photos", "path": "/x"}, "takes no path"),
        ({"name": "photos", "validation_share": 1.0}, "got 1.0"),
        ({"name": "photos", "validation_share": 0}, "got 0"),
        ({"name": "photos", "split_seed": -1}, "got -1"),
        ({"name": "photos", "cache": ""}, "cache must name a folder"),
    ],
)
def test_a_wrong_choice_is_refused_in_one_line(words: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told) as error:
        DataConfig(**words)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["npz", "cifar10", "imagefolder"])
def test_a_path_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    config = DataConfig(name, str(tmp_path / "nowhere"), cache=str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=r"nowhere.*data.path="):
        load_dataset(config, 8)


@pytest.mark.parametrize("image_size", [0, 8.0, True])
def test_an_image_size_is_a_whole_number(image_size: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="image_size"):
        load_dataset(DataConfig("digits", cache=str(tmp_path)), image_size)


def test_a_resolved_choice_can_be_opened_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    write_npz(tmp_path / "own.npz")
    monkeypatch.chdir(tmp_path)
    resolved = DataConfig("npz", "own.npz", cache="kept").resolved()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(load_dataset(resolved, 8).test) == 60
    assert (tmp_path / "kept").is_dir()


def test_opening_data_needs_neither_torch_nor_ray() -> None:
    code = (
        "import sys; from experiments.data.load import load_dataset; "
        "print([name for name in ('torch', 'ray', 'optuna', 'fvcore', 'hydra', 'sklearn') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# The cache.


def open_own(tmp_path: Path) -> Dataset:
    return load_dataset(DataConfig("npz", str(tmp_path / "own.npz"), cache=str(tmp_path / "cache")), 8)


def kept_folders(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").iterdir())


def test_the_second_opening_uses_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npz(tmp_path / "own.npz")
    first = open_own(tmp_path)
    monkeypatch.setattr(cache, "_place", lambda *_: pytest.fail("made again"))
    assert open_own(tmp_path).fingerprint == first.fingerprint


def test_changed_source_files_are_read_again(tmp_path: Path) -> None:
    first = open_own_after_writing(tmp_path, count=60)
    second = open_own_after_writing(tmp_path, count=64)
    assert len(second.test) == 64
    assert first.fingerprint != second.fingerprint


def open_own_after_writing(tmp_path: Path, count: int) -> Dataset:
    write_npz(tmp_path / "own.npz", count)
    return open_own(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "short", "empty", "no meta", "half meta"])
def test_a_damaged_cache_is_made_again(damage: str, tmp_path: Path) -> None:
    write_npz(tmp_path / "own.npz")
    expected = np.array(open_own(tmp_path).train.images)
    (folder,) = kept_folders(tmp_path)
    images, meta = folder / "train_images.npy", folder / "meta.json"
    if damage == "missing":
        images.unlink()
    elif damage in ("short", "empty"):
        images.write_bytes(images.read_bytes()[: 1000 if damage == "short" else 0])
    elif damage == "no meta":
        meta.unlink()
    else:
        meta.write_text(meta.read_text()[:20])
    assert np.array_equal(open_own(tmp_path).train.images, expected)
    assert kept_folders(tmp_path) == [folder]


def test_a_kill_half_way_leaves_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledError(BaseException):
        pass

    def save_once(file: Path, array: np.ndarray) -> None:
        if "test" in str(file):
            raise KilledError
        real_save(file, array)

    write_npz(tmp_path / "own.npz")
    real_save = np.save
    monkeypatch.setattr(np, "save", save_once)
    monkeypatch.setattr(cache.shutil, "rmtree", lambda *_, **__: None)  # a killed process does not tidy up
    with pytest.raises(KilledError):
        open_own(tmp_path)
    assert all(folder.name.startswith(".") for folder in kept_folders(tmp_path))
    monkeypatch.undo()
    (left,) = kept_folders(tmp_path)
    os.utime(left, (0, 0))
    assert len(open_own(tmp_path).test) == 60
    assert left not in kept_folders(tmp_path)


def test_processes_that_make_a_cache_at_once_get_the_same_data(tmp_path: Path) -> None:
    write_npz(tmp_path / "own.npz", count=400)
    code = (
        "import sys; from experiments.data.config import DataConfig; from experiments.data.load import load_dataset; "
        "sys.stdin.read(); "  # all have imported before any begins
        "print(load_dataset(DataConfig('npz', sys.argv[1] + '/own.npz', sys.argv[1] + '/cache'), 8).fingerprint)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    runs = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for run in runs:
        assert run.stdin is not None
        run.stdin.close()
        run.stdin = None
    fingerprints = {run.communicate(timeout=60)[0].strip() for run in runs}
    assert fingerprints == {open_own(tmp_path).fingerprint}
    assert len(kept_folders(tmp_path)) == 1


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        load_dataset(DataConfig("digits", cache=str(tmp_path / "file")), 8)


# The fingerprint.


def test_any_change_of_the_data_changes_the_fingerprint() -> None:
    parts = random_parts()
    found = {fingerprint(parts), fingerprint(random_parts(seed=1))}
    for name in ("train", "validation", "test"):
        split: Split = getattr(parts, name)
        images, labels = split.images.copy(), split.labels.copy()
        images[-1, -1, -1, -1] ^= 1
        labels[0] = (labels[0] + 1) % 3
        for changed in (Split(images, split.labels), Split(split.images, labels)):
            found.add(fingerprint(Parts(**{**vars(parts), name: changed})))
    assert len(found) == 2 + 6


def test_moving_the_boundary_of_splits_changes_the_fingerprint() -> None:
    whole = random_split(40)
    cut = [
        Parts(("a", "b", "c"), *(Split(whole.images[a:b], whole.labels[a:b]) for a, b in ((0, m), (m, 30), (30, 40))))
        for m in (10, 20)
    ]
    assert fingerprint(cut[0]) != fingerprint(cut[1])


def test_the_same_pixels_in_another_shape_have_another_fingerprint() -> None:
    labels = np.zeros(4, np.int64)
    wide, deep = (Split(np.zeros(shape, np.uint8), labels) for shape in ((4, 1, 4, 4), (4, 4, 2, 2)))
    assert fingerprint(Parts(("a",), wide, wide, wide)) != fingerprint(Parts(("a",), deep, deep, deep))


# Shares.


def test_a_split_off_share_is_the_same_of_each_class() -> None:
    labels = np.repeat(np.arange(3), [10, 20, 40]).astype(np.int64)
    stays, leaves = split_off(labels, 0.2, seed=0)
    assert np.bincount(labels[leaves]).tolist() == [2, 4, 8]
    assert sorted([*stays, *leaves]) == list(range(70))


def test_a_class_with_one_image_cannot_be_divided() -> None:
    with pytest.raises(ValueError, match="1 image of label 1"):
        split_off(np.array([0, 0, 1]), 0.5, seed=0)


def test_a_share_is_stratified_repeatable_and_part_of_a_larger_share() -> None:
    split = random_split(300)
    small, large = (take_share(split, share, seed=3) for share in (0.1, 0.5))
    assert np.bincount(split.labels[small]).tolist() == [10, 10, 10]
    assert set(small) < set(large)
    assert np.array_equal(small, take_share(split, 0.1, seed=3))
    assert not np.array_equal(small, take_share(split, 0.1, seed=4))
    assert np.array_equal(take_share(split, 1.0, seed=3), np.arange(300))
    assert np.bincount(split.labels[take_share(split, 1e-6, seed=3)]).tolist() == [1, 1, 1]


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=str(share)):
        take_share(random_split(9), share, seed=0)


# The real files, where they are at hand.


@pytest.mark.skipif(TEST_DATA is None, reason="TRANSXNET_TEST_DATA names no folder with cifar10/")
def test_the_real_cifar10_is_read_from_its_archive() -> None:
    (archive,) = Path(str(TEST_DATA), "cifar10").glob("*.tar.gz")
    parts = DATASETS["cifar10"].make(Request(archive, 32, 0.1, 0))
    assert [len(split) for split in parts.splits] == [45000, 5000, 10000]
    assert np.bincount(parts.validation.labels).tolist() == [500] * 10
    means = (parts.train.images.mean(axis=(0, 2, 3)) / 255).round(2)
    assert means.tolist() == [0.49, 0.48, 0.45]
    assert parts.class_names[0] == "airplane"


@pytest.mark.skipif(TEST_DATA is None, reason="TRANSXNET_TEST_DATA names no folder with fashion_mnist_mini/")
def test_the_real_fashion_mnist_part_is_read(tmp_path: Path) -> None:
    file = Path(str(TEST_DATA), "fashion_mnist_mini", "fashion-mnist-mini.npz")
    dataset = load_dataset(DataConfig("npz", str(file), cache=str(tmp_path)), 28)
    assert dataset.describe()["sizes"] == {"train": 4500, "validation": 500, "test": 4000}
    assert (dataset.channels, dataset.num_classes) == (1, 10)
