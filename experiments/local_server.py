"""A web server for one machine: whom it serves is decided by the Host and Origin that a request names.

A browser lets every page send requests to this machine. A page of another site names that site as their Origin, or,
where it lets its own name point here, as their Host.
"""

from __future__ import annotations

import ipaddress
import platform
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_LOOPBACK_NAME = "localhost"


@dataclass(frozen=True)
class Guard:
    """A WSGI application that passes on what was sent to `host` by its own pages, and answers 403 to all else."""

    application: WSGIApplication
    host: str
    """Where the server listens: a loopback address serves loopback names, any other is named by its requests."""

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """The application's answer, or the refusal."""
        refusal = self.refusal(environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN"))
        if refusal is None:
            return self.application(environ, _unframed(start))
        start("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{refusal}\n".encode()]

    def refusal(self, host: str | None, origin: str | None) -> str | None:
        """Why a request with these headers is refused; None if it is not."""
        if not self._serves(_name(f"//{host}")):
            return f"this page must be asked for by the address that it is served at, got Host {host!r}"
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return f"this page takes requests of its own alone, got Origin {origin!r}"
        return None

    def _serves(self, name: str | None) -> bool:
        if name is None:
            return False
        if is_loopback(self.host):
            return is_loopback(name)
        if _is_any_address(self.host):  # an address, unlike a name, cannot be made to point here
            return _address(name) is not None or name in (_LOOPBACK_NAME, platform.node().lower())
        return name == self.host.lower()


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each request: one whose other end says nothing holds up nobody."""

    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 60
    """Seconds that the other end may be silent."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for what people must know."""

    def address_string(self) -> str:
        """The address as it is, without asking the network for its name."""
        return str(self.client_address[0])


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine alone."""
    address = _address(host)
    return host.lower() == _LOOPBACK_NAME if address is None else address.is_loopback


def open_server(application: WSGIApplication, host: str, port: int) -> WSGIServer:
    """A server that listens, guarded, until `server_close`; `serve_forever` answers. Raises OSError as binding does."""
    family = _Server6 if ":" in host else _Server
    return make_server(host, port, Guard(application, host), family, _Handler)


def _unframed(start: StartResponse) -> StartResponse:
    """Lets no other page show this one in a frame, where a click could be led astray."""

    def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
        return start(status, [*headers, ("X-Frame-Options", "DENY")], *rest)

    return begin


def _name(url: str) -> str | None:
    """The host of a URL, in small letters and without brackets; None if it names none."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is none
    except ValueError:
        return None
    return parts.hostname if parts.netloc == url[2:] and "@" not in url else None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_any_address(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_unspecified
