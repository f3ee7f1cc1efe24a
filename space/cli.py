"""What every command line of the project shares: user's mistakes told in one line, and typed configs."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from space.command_words import check_words
from space.passwords import refuse_typed_passwords
from space.typed import read_dataclass
from space.words import remedy

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

NO_ROOM = 4
"""Exit code of a program whose disk is full."""
SPEAKERS = frozenset({"__main__", "transxnet", "space", "db", "analysis", "experiments", "hydra", "omegaconf"})
"""Packages whose ValueErrors are about what the user wrote; others are faults of the program."""
UNUSABLE_PLACE = (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
"""What the system says of a file or folder that cannot be what the user wants it to be."""


def run_entry_point(main: Callable[[], None]) -> None:
    """Run a function that `@hydra.main` made, as the whole of a program.

    A user's mistake prints one line and exits with 2, a full disk with NO_ROOM, an exception that has an `exit_code`
    with that; Ctrl-C exits with 130, any other exception keeps its traceback and exits with 1.
    """
    # Without this Hydra prints every exception in its own way and exits with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with redirect_stderr(cast(TextIO, _OneLineEach(sys.stderr))):
            refuse_typed_passwords(sys.argv[1:])
            check_words(sys.argv[1:])
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
    if isinstance(error, UNUSABLE_PLACE):
        return error.filename is not None
    ours = type(error).__module__.partition(".")[0], _raised_in(error)
    return isinstance(error, ValueError) and not SPEAKERS.isdisjoint(ours)


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
    return _hydras(error)


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


class _OneLineEach:
    """A stream without what is written around an error: Hydra's line before it raises, the parser's usage."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if not text.startswith(("Error executing job with overrides:", "usage: ")):
            self._stream.write(_OF_PARSER.sub(_PARSERS_REMEDY, text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_OF_PARSER = re.compile(r"^[\w./-]+: error: (.*)$", re.MULTILINE)
"""How argparse tells an option that is none."""
_PARSERS_REMEDY = (
    r"error: \1; options such as --config-dir stand before all key=value words, --help lists what there is"
)
_END = re.compile(r"(?<!\.)[.:]$")
"""The end of a line that others follow; three dots are meant."""


def _raised_in(error: Exception) -> str:
    """The package of the innermost frame."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")).partition(".")[0] if frames else ""


def _unknown_option(error: MissingConfigException) -> str:
    if not error.missing_cfg_file or not error.options:
        return f"{_one_line(str(error))}; --help lists the names of each group"
    group, _, word = error.missing_cfg_file.rpartition("/")
    return f"unknown {group} {word!r}; {remedy(word, error.options)}"


def _unreadable_override(error: OverrideParseException) -> str:
    word = re.sub(r"//.*@", "//***@", error.override)  # a URL may hold a password
    return (
        f"an override must be key=value, got {word!r}; "
        f"write key=value, and quotes around the whole where it has brackets, spaces or commas"
    )


def _hydras(error: Exception) -> str:
    """What Hydra says, with the word and the remedy where it lacks them."""
    if found := _SEVERAL_VALUES.match(str(error)):
        key, _, value = found[1].partition("=")
        return f"a key takes one value, got {found[1]!r}; write {key}=[{value}] if it takes a list"
    if str(error).startswith("Config group override must be a string"):
        words = [word for word in sys.argv[1:] if _NO_NAME.fullmatch(word)]
        return f"a group takes a name, got {' or '.join(map(repr, words))}; --help lists the names of each group"
    return _one_line(str(error))


def _unreadable_yaml(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None:
        return _one_line(str(error))
    return f"a config must be YAML, got {mark.name}, line {mark.line + 1}: {problem}; mend that line"


def _unresolved(error: InterpolationResolutionError) -> str:
    key = error.full_key
    return f"{key} must refer to a value that there is: {_one_line(str(error))}; write a plain value for {key}"


def _unusable_place(error: OSError) -> str:
    return f"a place for files must be usable, got {error.filename} ({error.strerror}); name another"


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


_SEVERAL_VALUES = re.compile(r"Ambiguous value for argument '(.*)'")
_NO_NAME = re.compile(r"\+*\w*=(null|true|false|[-+.\de]*)", re.IGNORECASE)
_NOISE = ("full_key:", "object_type=", "To append to", "See https://", "Config search path", "provider=")


def _one_line(message: str) -> str:
    """A message of Hydra's or OmegaConf's without the lines that say nothing to the user."""
    lines = (line.strip() for line in message.splitlines())
    return "; ".join(_END.sub("", line) for line in lines if line and not line.startswith(_NOISE))


_WORDS: dict[type[Exception], Callable[[Any], str]] = {
    MissingConfigException: _unknown_option,
    OverrideParseException: _unreadable_override,
    yaml.YAMLError: _unreadable_yaml,
    InterpolationResolutionError: _unresolved,
    **dict.fromkeys(UNUSABLE_PLACE, _unusable_place),
}
"""What explains an exception, by its type."""
