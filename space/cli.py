"""What every command line of the project shares: user's mistakes told in one line, and typed configs."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from space.typed import read_dataclass
from space.words import remedy

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

NO_ROOM = 4
"""Exit code of a program whose disk is full."""
SPEAKERS = frozenset({"__main__", "transxnet", "space", "db", "analysis", "experiments", "hydra", "omegaconf"})
"""Packages whose ValueErrors are about what the user wrote; others are faults of the program."""


def run_entry_point(main: Callable[[], None]) -> None:
    """Run a function that `@hydra.main` made, as the whole of a program.

    A user's mistake prints one line and exits with 2, a full disk with NO_ROOM, an exception that has an `exit_code`
    with that; Ctrl-C exits with 130, any other exception keeps its traceback and exits with 1.
    """
    # Without this Hydra prints every exception in its own way and exits with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with redirect_stderr(cast(TextIO, _WithoutJobLine(sys.stderr))):
            main()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if (code := _exit_code(error)) is None:
            raise
        print(f"error: {explain(error)}", file=sys.stderr)
        sys.exit(code)


def to_typed(cfg: DictConfig, cls: type[T]) -> T:
    """The dataclass that a config describes, interpolations resolved. Errors as of `read_dataclass`."""
    return read_dataclass(OmegaConf.to_container(cfg, resolve=True), cls)


def is_users_mistake(error: Exception) -> bool:
    """Whether an exception is about what the user wrote, rather than a fault of the program."""
    if isinstance(error, HydraException | OmegaConfBaseException | yaml.YAMLError):
        return True
    return isinstance(error, ValueError) and _raised_in(error) in SPEAKERS


def is_out_of_room(error: BaseException) -> bool:
    """Whether a file could not be written because its disk, or its user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def explain(error: Exception) -> str:
    """One line that says what is wrong and, where it can be known, what to write instead."""
    if is_out_of_room(error):
        return _no_room(cast(OSError, error))
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words(error)
    cause = error.__cause__
    if isinstance(error, HydraException) and isinstance(cause, ConfigAttributeError | ConfigKeyError):
        return _unknown_key(cause)
    return _one_line(str(error))


def _exit_code(error: Exception) -> int | None:
    """Of an error that one line tells; None for a fault of the program."""
    if is_users_mistake(error):
        return 2
    code = NO_ROOM if is_out_of_room(error) else getattr(error, "exit_code", None)
    return code if isinstance(code, int) else None


def _no_room(error: OSError) -> str:
    file = error.filename2 or error.filename
    place = f" for {file}" if file else ""
    return (
        f"a disk must have room for what is written, but it is full{place} "
        f"({_one_line(error.strerror or str(error))}); make room, and the same command goes on: all that was "
        f"acknowledged is kept"
    )


class _WithoutJobLine:
    """A stream without the line that Hydra writes before it raises what the program raised."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return len(text) if text.startswith("Error executing job with overrides:") else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _raised_in(error: Exception) -> str:
    """The package of the innermost frame."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")).partition(".")[0] if frames else ""


def _unknown_option(error: MissingConfigException) -> str:
    if not error.missing_cfg_file or not error.options:
        return _one_line(str(error))
    group, _, word = error.missing_cfg_file.rpartition("/")
    return f"unknown {group} {word!r}; {remedy(word, error.options)}"


def _unreadable_override(error: OverrideParseException) -> str:
    return (
        f"an override must be key=value, got {error.override!r}; "
        f"write key=value, and quotes around the whole where it has brackets, spaces or commas"
    )


def _unreadable_yaml(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"cannot read {mark.name}, line {mark.line + 1}: {problem}" if mark else _one_line(str(error))


def _unknown_key(error: ConfigAttributeError | ConfigKeyError) -> str:
    """Names a deeper key that ends in the unknown one, or else the nearest beside it."""
    key, full_key = str(error.key), str(error.full_key)
    group = full_key.removesuffix(key)
    known = [path for path in _paths(error.parent_node) if path.partition(".")[0] != "hydra"]
    beside = [path for path in known if "." not in path]
    deeper = [path for path in known if path.rpartition(".")[2] == key]
    if deeper:
        return f"unknown key {full_key!r}; did you mean {group + deeper[0]}?"
    return f"unknown key {full_key!r}; {remedy(key, beside, prefix=group)}"


def _paths(node: Any) -> Iterator[str]:
    """Dotted keys of a config, groups before what is in them."""
    if isinstance(node, DictConfig):
        for key in node:
            yield str(key)
            child = None if OmegaConf.is_missing(node, key) else node._get_node(key)
            yield from (f"{key!s}.{path}" for path in _paths(child))


_NOISE = ("full_key:", "object_type=", "To append to", "See https://", "Config search path", "provider=")


def _one_line(message: str) -> str:
    """A message of Hydra's or OmegaConf's without the lines that say nothing to the user."""
    lines = (line.strip() for line in message.splitlines())
    return "; ".join(line.rstrip(".:") for line in lines if line and not line.startswith(_NOISE))


_WORDS: dict[type[Exception], Callable[[Any], str]] = {
    MissingConfigException: _unknown_option,
    OverrideParseException: _unreadable_override,
    yaml.YAMLError: _unreadable_yaml,
}
"""What explains an exception, by its type."""
