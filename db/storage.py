"""Which database a command uses, as its `storage=` words say."""

from __future__ import annotations

from dataclasses import dataclass

from db.urls import parse_url, show_url


@dataclass(frozen=True)
class StorageConfig:
    """Where the record is. Raises ValueError for what is not the URL of a database that can hold it."""

    url: str
    """A SQLAlchemy URL: sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME. It may hold a password: show `shown`."""

    def __post_init__(self) -> None:
        parse_url(self.url)

    def __repr__(self) -> str:
        return f"StorageConfig(url={self.shown!r})"

    def __reduce__(self) -> tuple[type[StorageConfig], tuple[str]]:
        """A pickle, which files and other machines may keep, has no password."""
        return StorageConfig, (self.shown,)

    @property
    def shown(self) -> str:
        """The URL for people to read, without its password."""
        return show_url(parse_url(self.url))
