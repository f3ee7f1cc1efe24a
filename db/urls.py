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
_TYPED_PASSWORD = re.compile(r":.*@", re.DOTALL)
_REMEDY = "write storage.url=sqlite:///PATH or storage.url=postgresql+psycopg://USER@HOST/NAME"


def parse_url(text: str) -> URL:
    """The URL of a SQLite file or a PostgreSQL database; raises ValueError, without passwords, for others."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise _not_a_url(text) from None  # what it came from may tell the password
    if not is_sqlite(url) and text.count("@") > 1:
        raise ValueError(
            f"a password in a URL must be percent-encoded (@ is %40), or left to ~/.pgpass, got {_hide(text)!r}; "
            f"{_REMEDY}"
        )
    if url.drivername not in _DRIVERS:
        raise ValueError(f"the database must be SQLite, or PostgreSQL by psycopg, got {show_url(url)}; {_REMEDY}")
    if is_sqlite(url) and not _names_file(url):
        raise ValueError(
            f"a SQLite database must be a plain file, so that results last, got {show_url(url)}; {_REMEDY}"
        )
    return url.set(drivername=_DRIVERS[url.drivername])


def show_url(url: URL) -> str:
    """The URL without its passwords: for people to read, and to type again where ~/.pgpass holds the password."""
    return without_secrets(url).render_as_string(hide_password=False)


def without_secrets(url: URL) -> URL:
    """The URL without its passwords."""
    # Not by URL.set, which takes None for "as it was".
    return URL.create(
        url.drivername,
        url.username,
        None,
        url.host,
        url.port,
        url.database,
        url.difference_update_query(_SECRETS).query,
    )


def secrets_of(url: URL) -> dict[str, str]:
    """The passwords of a URL, as words for the driver's `connect`."""
    written = {name: str(url.query[name]) for name in _SECRETS if name in url.query}
    return {**({} if url.password is None else {"password": str(url.password)}), **written}


def is_sqlite(url: URL) -> bool:
    """Whether the database is a SQLite file."""
    return url.get_backend_name() == "sqlite"


def _not_a_url(text: str) -> ValueError:
    return ValueError(f"a database is named by a URL, got {_hide(text)!r}; {_REMEDY}")


def _hide(text: str) -> str:
    """What may be told of a text in which a password cannot be found for sure."""
    hidden = _TYPED_PASSWORD.sub("://***@" if "://" in text else ":***@", text)
    return re.sub(r"(password=)[^&]*", r"\1***", hidden)


def _names_file(url: URL) -> bool:
    server = url.host or url.username or url.password or url.port
    return bool(url.database) and not server and not str(url.database).startswith(("file:", ":memory:"))
