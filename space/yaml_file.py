"""Reading a YAML file's events before anything is built of them: what could harm or mislead is refused.

A YAML library builds what a tag names, copies what an alias names as often as asked, and follows nesting until the
stack is full. A config needs none of that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

MOST_BYTES = 2**18
MOST_DEPTH = 32
MOST_NODES = 20_000
"""Values of a file, those that aliases repeat counted each time."""


def check_yaml(path: Path) -> list[str]:
    """The names of other configs in the file's `defaults`; raises ValueError or YAMLError for a file to be refused."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(
            f"a config must have at most {MOST_BYTES:,} bytes, got {path.stat().st_size:,} in {path}; shorten it"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        fact = f"{path}, byte {error.start} of which is none"
        raise ValueError(f"a config must be UTF-8 text, got {fact}; save it as UTF-8") from error
    reading = _Reading(path)
    stream = yaml.SafeLoader(text)
    stream.name = str(path)
    while stream.check_event():
        reading.take(stream.get_event())  # type: ignore[no-untyped-call]
    return reading.defaults


@dataclass
class _Open:
    """A mapping or list whose end is yet to come."""

    anchor: str | None
    is_mapping: bool
    nodes: int = 1
    children: int = 0
    keys: set[str] = field(default_factory=set)
    last_key: str = ""


@dataclass
class _Reading:
    """What was met so far, event by event."""

    path: Path
    open: list[_Open] = field(default_factory=list)
    nodes_of: dict[str, int] = field(default_factory=dict)
    """Values that stand below each anchor."""
    defaults: list[str] = field(default_factory=list)

    def take(self, event: yaml.Event) -> None:
        """Raises ValueError for an event of a file to be refused."""
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise self._refused(event, "holds plain values and no tags", tag, "write the value alone")
        if isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self.open.pop()
            self._add(event, ended.anchor, ended.nodes)
        elif isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._take_alias(event)

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        if len(self.open) == MOST_DEPTH:
            raise self._refused(event, f"is nested at most {MOST_DEPTH} deep", "more", "take out the inner brackets")
        self.open.append(_Open(event.anchor, isinstance(event, yaml.MappingStartEvent)))

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        if self.open and self.open[-1].is_mapping and self.open[-1].children % 2 == 0:
            self._take_key(event)
        elif self.open and self.open[0].last_key == "defaults":
            self.defaults.append(event.value)
        self._add(event, event.anchor, 1)

    def _take_key(self, event: yaml.ScalarEvent) -> None:
        here = self.open[-1]
        if event.value in here.keys:
            raise self._refused(event, "has each key once", f"{event.value!r} twice", "drop one of the two")
        here.keys.add(event.value)
        here.last_key = event.value
        if len(self.open) > 1 and self.open[0].last_key == "defaults":
            self.defaults.append(event.value)

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        if any(outer.anchor == event.anchor for outer in self.open):
            raise self._refused(event, "cannot hold itself", f"*{event.anchor} inside &{event.anchor}", "write it out")
        self._add(event, None, self.nodes_of.get(event.anchor or "", 1))

    def _add(self, event: yaml.Event, anchor: str | None, nodes: int) -> None:
        """Count a value that is complete to the one around it."""
        if anchor is not None:
            self.nodes_of[anchor] = nodes
        if not self.open:
            return
        self.open[-1].children += 1
        self.open[-1].nodes += nodes
        if self.open[-1].nodes > MOST_NODES:
            rule = f"has at most {MOST_NODES:,} values, those that aliases repeat counted each time"
            raise self._refused(event, rule, "more", "write shorter lists and fewer aliases")

    def _refused(self, event: yaml.Event, rule: str, got: str, remedy: str) -> ValueError:
        assert event.start_mark is not None, "what is read from a text has a place in it"
        line = event.start_mark.line + 1
        return ValueError(f"a config {rule}, got {got} in {self.path}, line {line}; {remedy}")
