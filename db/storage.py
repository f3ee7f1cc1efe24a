"""Which database a command uses, as its `storage=` words say."""

from __future__ import annotations

from dataclasses import dataclass

from db.urls import parse_url, show_url


@dataclass(frozen=True)
class StorageConfig:
    """Where the record is. Raises ValueError for what is not the URL of a database that can hold it."""

    url: str
    """A SQLAlchemy URL: sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME. It may hold a password: show `shown`."""
    wait_s: float = 300.0
    """How long a sweep waits for a database that went away, before it ends and keeps what it could not write."""

    def __post_init__(self) -> None:
        parse_url(self.url)
        if not self.wait_s >= 0:
            raise ValueError(f"storage.wait_s must be 0 or above, got {self.wait_s:g}; write for example 300")

    def __repr__(self) -> str:
        return f"StorageConfig(url={self.shown!r}, wait_s={self.wait_s:g})"

    def __reduce__(self) -> tuple[type[StorageConfig], tuple[str, float]]:
        """A pickle, which files and other machines may keep, has no password."""
        return StorageConfig, (self.shown, self.wait_s)

    @property
    def shown(self) -> str:
        """The URL for people to read, without its password."""
        return show_url(parse_url(self.url))
