"""A command's words, checked before Hydra reads them, with the YAML files that they name."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from space.yaml_file import MOST_DEPTH, check_yaml

_SEARCH_PATH = "hydra.searchpath"


def check_words(words: Sequence[str]) -> None:
    """Raises ValueError or YAMLError for what Hydra would take without a word, or choke on.

    Unreadable options are left to Hydra, which tells them.
    """
    options = _options(words)
    if options is None:
        return
    if options.multirun or options.experimental_rerun:
        raise ValueError(
            "a command is one run, got --multirun or --experimental-rerun; leave it out: a sweep itself trains many "
            "variants, and the same command goes on where it ended"
        )
    if options.config_dir is not None and not Path(options.config_dir).is_dir():
        raise ValueError(f"--config-dir must name a folder, got {options.config_dir!r}; write --config-dir FOLDER")
    for word in options.overrides:
        _check_depth(word)
    _check_files(list(_folders(options)), [*_named(options.overrides), *filter(None, [options.config_name])])


def _options(words: Sequence[str]) -> argparse.Namespace | None:
    """As Hydra reads them; None if it will not."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("overrides", nargs="*", default=[])
    for short, long in (("-m", "--multirun"), ("-h", "--help"), ("-r", "--run"), ("-sc", "--shell-completion")):
        parser.add_argument(short, long, action="store_true")
    for short, long in (("-cd", "--config-dir"), ("-cp", "--config-path"), ("-cn", "--config-name")):
        parser.add_argument(short, long)
    for flags in (("-c", "--cfg"), ("-p", "--package"), ("--experimental-rerun",)):
        parser.add_argument(*flags)
    parser.add_argument("-i", "--info", nargs="?")
    try:
        return parser.parse_known_intermixed_args(words)[0]
    except argparse.ArgumentError:
        return None


def _check_depth(word: str) -> None:
    depth = deepest = 0
    for character in word:
        depth += (character in "[{(") - (character in "]})")
        deepest = max(deepest, depth)
    if deepest > MOST_DEPTH:
        raise ValueError(
            f"a value is nested at most {MOST_DEPTH} deep, got {deepest} in {word.partition('=')[0]}=...; "
            f"take out the inner brackets"
        )


def _folders(options: argparse.Namespace) -> Iterator[Path]:
    """Where the user's own files are looked for."""
    for folder in (options.config_dir, options.config_path):
        if folder is not None:
            yield Path(folder)
    for word in options.overrides:
        key, _, value = word.partition("=")
        if key == _SEARCH_PATH:
            yield from (Path(part.strip(" '\"").removeprefix("file://")) for part in value.strip("[]").split(","))


def _named(overrides: Sequence[str]) -> Iterator[str]:
    """Configs that group=name words may mean, as paths below a folder without the ending."""
    for word in overrides:
        key, _, value = word.partition("=")
        group = key.lstrip("+~").partition("@")[0]
        yield from (f"{group}/{name}" for name in re.findall(r"[^\s,\[\]'\"]+", value))


def _check_files(folders: list[Path], names: list[str]) -> None:
    """The named files, and those that their defaults may name."""
    checked: set[Path] = set()
    while names:
        name = names.pop().removesuffix(".yaml").strip("/")
        for folder in folders:
            path = folder / f"{name}.yaml"
            if path in checked or not path.is_file():
                continue
            checked.add(path)
            names += _named_by_defaults(name, check_yaml(path))


def _named_by_defaults(name: str, defaults: list[str]) -> Iterator[str]:
    """Every config that words of the defaults of config `name` may mean: beside it, below it, or in a group."""
    own_group = name.rpartition("/")[0]
    words = [word.removeprefix("override ").removeprefix("optional ").partition("@")[0] for word in defaults]
    for word in words:
        yield from (word, f"{own_group}/{word}")
        yield from (path for group in words for path in (f"{group}/{word}", f"{own_group}/{group}/{word}"))
