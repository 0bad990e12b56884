"""The origin of an address (scheme, host and port). An API key is sent to its own origin only."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443, "grpc": 6334}


def origin_of(url: str, *, default_port: int | None = None) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address. Addresses with the same origin belong to the same server.

    Args:
        url: with a scheme.
        default_port: the port for an address without one, in place of the scheme's default.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.scheme, (parts.hostname or "").rstrip("."), port or default_port or _PORTS.get(parts.scheme)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, so that nobody else sees what is sent to it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def same_for_all(url: str) -> str:
    """One spelling of a server's address, for those who compare: ``localhost`` and ``127.0.0.1`` are one server."""
    scheme, host, port = origin_of(url)
    host = "localhost" if host == "127.0.0.1" else f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}{'' if port is None else f':{port}'}{urlsplit(url).path.rstrip('/')}"


def shown(url: str) -> str:
    """An address for messages: its origin and path, without user, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
