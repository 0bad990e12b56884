"""Whom this configuration talks to, and whether CrewAI or Mem0 report to their makers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..addresses import shown
from ..embedding.keys import address_of_provider
from .examined import Examined
from .findings import Findings, check, note, ok

SWITCHES: Final = ("CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_TRACKING", "OTEL_SDK_DISABLED")
"""Variables of CrewAI. Its telemetry is off if one of them is ``true``."""

_ADDRESSES: Final = ("url", "host", "base_url", "api_base", "endpoint", "connection_string", "uri")


@check("addresses")
def whom_it_talks_to(examined: Examined) -> Findings:
    """Name each host that memories, or their texts, are sent to."""
    config = examined.config
    if config is None:
        return
    hosts = []
    if config.server is not None:
        hosts += [f"Qdrant at {url}" for url in config.server.urls]
    if config.mem0 is not None:
        local = config.mem0.local_mem0_config
        hosts += [f"Mem0 Cloud at {shown(config.mem0.host)}"] if local is None else list(_of_mem0(local))
    elif isinstance(config.embedder, Mapping):
        hosts.append(_of_the_embedder(config.embedder))
    elif config.embedder is None and not config.embedder_given:
        descriptor = examined.descriptor()
        spec = None if descriptor is None or descriptor.fingerprint is None else descriptor.fingerprint.spec
        hosts += [] if spec is None else [_of_the_embedder(spec)]
    yield ok(f"it talks to {'; '.join(hosts)}" if hosts else "it talks to no other machine")
    proxies = [name for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY") if _variable(name)]
    if proxies and config.trust_env and hosts:
        yield note(
            f"clients go by the proxy of {' and '.join(proxies)}, unless NO_PROXY names the host",
            "For a server of your own net: NO_PROXY, or trust_env=False",
        )


@check("telemetry")
def who_is_told(examined: Examined) -> Findings:
    """CrewAI's telemetry and traces, and Mem0's telemetry."""
    given = examined.environment
    switches = {name: given.get(name, "").strip().lower() for name in SWITCHES}
    off = [name for name, value in switches.items() if value == "true"]
    if off:
        yield ok(f"CrewAI's telemetry is off ({off[0]})")
    elif switches["CREWAI_DISABLE_TELEMETRY"]:
        yield note("CrewAI's telemetry is on: CREWAI_DISABLE_TELEMETRY says so", "Set it to true, or leave it out")
    else:
        yield ok("CrewAI's telemetry is switched off by this package, if it is imported before crewai")
    if given.get("CREWAI_TRACING_ENABLED", "").strip().lower() in ("true", "1") or switches[
        "CREWAI_DISABLE_TELEMETRY"
    ] in ("false", "0"):
        yield note(
            "CrewAI may collect traces, which hold the texts that are recalled, and offer to send them",
            "Unset CREWAI_TRACING_ENABLED, and set CREWAI_DISABLE_TELEMETRY=true",
        )
    telemetry: Any = sys.modules.get("mem0.memory.telemetry")
    if examined.config is not None and examined.config.mem0 is not None and examined.config.mem0.telemetry:
        yield note("Mem0's telemetry is on: mem0={'telemetry': True} says so", "Leave it out to have it off")
    elif getattr(telemetry, "MEM0_TELEMETRY", False):
        yield note("Mem0's telemetry is on in this process", "Set MEM0_TELEMETRY=False before mem0 is imported")
    else:
        yield ok("Mem0's telemetry is off as far as this package calls it")


def _of_the_embedder(spec: Mapping[str, Any]) -> str:
    provider, about = str(spec.get("provider")), spec.get("config") or {}
    if provider == "local":
        return "the embedder in this process (a model by name is downloaded once, from huggingface.co)"
    address = next((str(about[name]) for name in _ADDRESSES if about.get(name)), None) or address_of_provider(provider)
    return f"the embedder of {provider}" + (f" at {shown(address)}" if address else "")


def _of_mem0(local: Mapping[str, Any]) -> Iterator[str]:
    for part in ("llm", "embedder", "vector_store", "reranker", "graph_store"):
        about = local.get(part)
        if not isinstance(about, Mapping):
            continue
        settings = about.get("config") or {}
        address = next(
            (str(value) for name, value in settings.items() if value and name.lower().endswith(_ADDRESSES)), None
        )
        folder = settings.get("path") if address is None else None
        where = (
            f"in the folder {folder}" if folder else f"at {shown(address)}" if address and "://" in address else address
        )
        yield f"Mem0's {part.replace('_', ' ')} ({about.get('provider')}) {where or 'at its own default address'}"


def _variable(name: str) -> str | None:
    return os.environ.get(name) or os.environ.get(name.lower())
