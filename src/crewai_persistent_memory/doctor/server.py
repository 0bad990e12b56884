"""A Qdrant server: each address, TLS, the key, the version."""

from __future__ import annotations

import socket
import ssl
import time
from functools import partial
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from ..addresses import is_loopback
from ..config.qdrant import DEFAULT_PORT, ServerSettings
from .examined import Examined
from .findings import Finding, Findings, check, error, note, ok, warning
from .pending import Pending, TooSlow

SECONDS: Final = 2.0
"""For a connection, and for an answer."""
SECONDS_OF_ALL: Final = 5.0
"""For all addresses, which are asked at once."""

IDF_OF_ONE_USER_SINCE: Final = (1, 19)
"""Since this version a server counts how rare a word is over the caller's own entries."""


@check("server", seconds=SECONDS_OF_ALL + 2)
def every_address_answers(examined: Examined) -> Findings:
    """Ask each node by itself: a client goes on with the others, and nobody notices that one is gone."""
    settings = None if examined.config is None else examined.config.server
    if settings is None:
        return
    deadline = time.monotonic() + SECONDS_OF_ALL
    asked = [(url, Pending(partial(_of_one, url, settings))) for url in settings.urls]
    for url, pending in asked:
        try:
            yield from pending.result(max(0.0, deadline - time.monotonic()))
        except TooSlow:
            yield error(
                f"{url} does not answer in time", "See whether its name is known to the DNS, and the network between"
            )


def _of_one(url: str, settings: ServerSettings) -> list[Finding]:
    return list(_findings_of(url, settings))


def _findings_of(url: str, settings: ServerSettings) -> Findings:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    if settings.prefer_grpc:
        port = settings.grpc_port
    if _goes_by_a_proxy(url, settings):
        yield note(
            f"{url} is reached by a proxy of the environment",
            "For a server of your own net: NO_PROXY, or trust_env=False",
        )
        return
    try:
        socket.create_connection((host, port), SECONDS).close()
    except (OSError, UnicodeError) as failure:  # the latter for a name that no DNS can have
        why = getattr(failure, "strerror", None) or failure
        yield error(
            f"nothing accepts connections at {host}:{port}: {why}",
            "Start the server, open the port, or correct the address (url=, QDRANT_URL). In a container, localhost is "
            "the container itself",
        )
        return
    found = ok(f"{host}:{port} accepts connections for gRPC") if settings.prefer_grpc else _answer(url, settings)
    tls = parts.scheme == "https"
    is_in_doubt = found.level == "error" or settings.prefer_grpc
    if is_in_doubt and _speaks_tls(host, port) is (not tls):  # it may also say nothing
        found = _not_tls(url) if tls else error(f"{url} is wrong: the server there speaks TLS", f"Write {_other(url)}")
    yield found
    if settings.api_key is not None and not tls and not is_loopback(host):
        yield warning(f"the API key is sent to {url} without TLS", "Give the server a certificate, and write https://")


def _not_tls(url: str) -> Finding:
    return error(
        f"{url} is wrong: the server there does not speak TLS",
        f"Write {_other(url)}, or give the server a certificate",
    )


def _other(url: str) -> str:
    """The address with the other scheme."""
    return url.replace("https://", "http://") if url.startswith("https://") else url.replace("http://", "https://")


def _answer(url: str, settings: ServerSettings) -> Finding:
    """Ask for the version, with the headers that a gateway may want."""
    try:
        verify: ssl.SSLContext | bool = True
        if settings.ca_cert is not None:
            verify = ssl.create_default_context(cafile=str(settings.ca_cert))
        return _about(
            url, httpx.get(f"{url}/", headers=_headers(settings), timeout=SECONDS, verify=verify, trust_env=False)
        )
    except (httpx.HTTPError, OSError) as failure:
        if "CERTIFICATE_VERIFY_FAILED" in str(failure):
            return error(
                f"the certificate of {url} is not trusted: {failure}",
                "Give the CA that signed it as ca_cert= (CREWAI_MEMORY_CA_CERT), and use the name in the certificate",
            )
        return error(
            f"{url} accepts connections and does not answer: {type(failure).__name__}",
            "See the server's log and its load; a stopped process looks like this",
        )
    except ValueError as failure:
        return error(
            f"the key or a header cannot be sent: {type(failure).__name__}",
            "Take out blanks and line breaks: a key that is read from a file often ends with one",
        )


def _headers(settings: ServerSettings) -> dict[str, str]:
    key = {} if settings.api_key is None else {"api-key": settings.api_key.get_secret_value()}
    return {**dict(settings.headers), **key}


def _about(url: str, answer: httpx.Response) -> Finding:
    from ..backends.qdrant.server.bootstrap import OLDEST  # qdrant-client takes a second to import

    try:
        told = answer.json()
        version = str(told["version"])
        is_qdrant = "qdrant" in str(told["title"]).lower()
    except (ValueError, KeyError, TypeError):
        is_qdrant, version = False, ""
    if answer.status_code in (401, 403):
        return ok(f"{url} answers, and does not accept the key")
    if not is_qdrant:
        return error(
            f"what answers at {url} is no Qdrant (status {answer.status_code})",
            "Correct the address: the port of the REST API, 6333 by default, and the prefix behind a gateway",
        )
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        return error(
            f"{url} is Qdrant {version}, and {'.'.join(map(str, OLDEST))} or later is needed",
            "Upgrade the server, one minor version at a time",
        )
    if numbers < IDF_OF_ONE_USER_SINCE:
        return note(
            f"{url} is Qdrant {version}, which counts how rare a word is over the entries of all users",
            "It works. Since 1.19 the order of a user's results depends on the user's own entries alone",
        )
    return ok(f"{url} is Qdrant {version}")


def _speaks_tls(host: str, port: int) -> bool | None:
    """``None`` if it says nothing to a greeting; a server without TLS says that it does not understand."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: whom to trust is asked elsewhere
    try:
        with socket.create_connection((host, port), SECONDS) as plain, context.wrap_socket(plain, server_hostname=host):
            return True
    except TimeoutError:
        return None
    except OSError:
        return False


def _goes_by_a_proxy(url: str, settings: ServerSettings) -> bool:
    if not settings.trust_env:
        return False
    parts, proxies = urlsplit(url), getproxies()
    named = proxies.get(parts.scheme) or proxies.get("all")
    return bool(named) and not proxy_bypass(parts.hostname or "")
