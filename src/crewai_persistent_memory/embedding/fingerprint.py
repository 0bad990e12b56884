"""The fingerprint of an embedder: a CrewAI spec without its secrets, or the vector of a fixed text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..errors import ConfigurationError

PROBE_TEXT = "The quick brown fox remembers 42 things."
PROBE_LENGTH = 64
PROBE_SIMILARITY = 0.98
"""Two probes with a smaller cosine come from different embedders. Two probes of one remote model have > 0.999."""

_SECRET = re.compile(r"key|token|secret|passw|credential|header|auth|session", re.IGNORECASE)


@dataclass(frozen=True)
class Fingerprint:
    """The identity of an embedder, saved in the store. It holds no secret.

    Attributes:
        spec: CrewAI embedder spec without its secrets; ``None`` for a custom function.
        probe: the first components of a custom function's vector for a fixed text, scaled to unit length.
        tokens: length of the token vectors that it also makes; ``None`` where it makes none, see ``token_vectors``.
    """

    spec: Mapping[str, Any] | None = None
    probe: tuple[float, ...] | None = None
    tokens: int | None = None

    def describe(self) -> str:
        if self.spec is None:
            return "a custom embedding function"
        config = self.spec.get("config") or {}
        model = next((config[k] for k in ("model_name", "model", "model_id", "deployment_id") if k in config), None)
        return f"{self.spec['provider']}/{model}" if model else str(self.spec["provider"])

    def same_embedder(self, other: Fingerprint) -> bool:
        """Whether the vectors of both embedders are comparable: those of texts and of passages."""
        if self.spec is not None and other.spec is not None:
            return _identity(self.spec) == _identity(other.spec)
        if self.probe is not None and other.probe is not None:
            return len(self.probe) == len(other.probe) and _cosine(self.probe, other.probe) >= PROBE_SIMILARITY
        return False

    def same_vectors(self, other: Fingerprint) -> bool:
        """Whether both embedders make the same kinds of vectors, and all of them are comparable."""
        return self.same_embedder(other) and self.tokens == other.tokens

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"spec": self.spec, "probe": None if self.probe is None else list(self.probe)}
        return data if self.tokens is None else {**data, "tokens": self.tokens}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fingerprint:
        probe = data.get("probe")
        return cls(spec=data.get("spec"), probe=None if probe is None else tuple(probe), tokens=data.get("tokens"))

    @classmethod
    def of_probe(cls, vector: Sequence[float]) -> Fingerprint:
        """The fingerprint of a custom function, from its vector of :data:`PROBE_TEXT`."""
        start = vector[:PROBE_LENGTH]
        norm = math.sqrt(math.fsum(x * x for x in start)) or 1.0
        return cls(probe=tuple(round(x / norm, 6) for x in start))


def normalize_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Check the shape of a CrewAI embedder spec.

    Raises:
        ConfigurationError: no ``provider``, or a key besides ``provider`` and ``config``.
    """
    unknown = set(spec) - {"provider", "config"}
    if not isinstance(spec.get("provider"), str) or unknown:
        raise ConfigurationError(
            'embedder must look like {"provider": "openai", "config": {...}}'
            + (f", unknown key {', '.join(sorted(map(str, unknown)))}" if unknown else ", its provider is missing")
        )
    config = dict(spec.get("config") or {})
    # crewai 1.15.30 documents "model" for OpenAI, but raises a TypeError for it.
    if spec["provider"] in ("openai", "azure") and "model" in config:
        config.setdefault("model_name", config.pop("model"))
        config.pop("model", None)
    return {"provider": spec["provider"], "config": config}


def public_spec(spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """The spec without secrets; ``None`` if it holds objects (a custom class), which cannot be written as text."""
    config: dict[str, Any] = {}
    for key, value in spec["config"].items():
        if _SECRET.search(key):
            continue
        if not isinstance(value, (str, int, float, bool, type(None))):
            return None
        config[key] = _without_credentials(value) if isinstance(value, str) else value
    return {"provider": spec["provider"], "config": config}


def _without_credentials(value: str) -> str:
    if "://" not in value:
        return value
    parts = urlsplit(value)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _identity(spec: Mapping[str, Any]) -> str:
    """The parts of a spec that identify the embedder: provider, model and dimensions, but not the address."""
    digest = (spec.get("config") or {}).get("digest")
    if digest is not None:  # of a local model: its folder may have any name
        return json.dumps([spec["provider"], digest])
    config = {
        key: value
        for key, value in (spec.get("config") or {}).items()
        if value is not None and (re.search("model|deployment", key) or key == "dimensions")
    }
    return json.dumps([spec["provider"], config], sort_keys=True)


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))
