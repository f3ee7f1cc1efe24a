"""Which database URLs are understood, and how one is shown without its secrets."""

from __future__ import annotations

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_SECRETS = ("password", "sslpassword")
_REMEDY = "write storage.url=sqlite:///PATH or storage.url=postgresql+psycopg://USER@HOST/NAME"


def parse_url(text: str) -> URL:
    """The URL of a SQLite file or a PostgreSQL database; raises ValueError, without passwords, for others."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise _not_a_url(text) from error
    if "@" in (url.host or ""):
        raise _not_a_url(text)
    if url.drivername not in _DRIVERS:
        raise ValueError(f"the database must be SQLite, or PostgreSQL by psycopg, got {show_url(url)}; {_REMEDY}")
    if is_sqlite(url) and not _names_file(url):
        raise ValueError(
            f"a SQLite database must be a plain file, so that results last, got {show_url(url)}; {_REMEDY}"
        )
    return url.set(drivername=_DRIVERS[url.drivername])


def show_url(url: URL) -> str:
    """The URL for people to read, its passwords hidden."""
    secrets = {name: "hidden" for name in _SECRETS if name in url.query}
    return url.update_query_dict(secrets).render_as_string(hide_password=True)


def is_sqlite(url: URL) -> bool:
    """Whether the database is a SQLite file."""
    return url.get_backend_name() == "sqlite"


def _not_a_url(text: str) -> ValueError:
    hidden = re.sub(r"//.*@", "//***@", text)
    return ValueError(f"a database is named by a URL, got {hidden!r}; {_REMEDY}")


def _names_file(url: URL) -> bool:
    server = url.host or url.username or url.password or url.port
    return bool(url.database) and not server and not str(url.database).startswith(("file:", ":memory:"))
