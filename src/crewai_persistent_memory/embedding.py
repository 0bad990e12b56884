"""Text to vectors: dense embedders (CrewAI's specs or any callable), BM25 keywords, and what identifies them."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from .errors import ConfigurationError, EmbedderError, EmbedderUnavailableError
from .redaction import redact as redact

EmbeddingFunction = Callable[[list[str]], Any]
"""Takes texts, returns one sequence of floats (or numpy array) per text; an empty one means "no vector"."""

DEFAULT_SPEC: Mapping[str, Any] = {"provider": "openai", "config": {"model_name": "text-embedding-3-small"}}
EMBEDDER_HELP = (
    'give a CrewAI spec such as {"provider": "openai", "config": {"model_name": "text-embedding-3-small"}}, a callable '
    "that takes a list of texts, or None for keywords only"
)
PROBE_TEXT = "The quick brown fox remembers 42 things."
PROBE_LENGTH = 64
PROBE_SIMILARITY = 0.98
"""Two probes below this cosine come from different embedders; a remote model answers itself at > 0.999."""

_SECRET = re.compile(r"key|token|secret|passw|credential|header|auth|session", re.IGNORECASE)


@dataclass(frozen=True)
class Fingerprint:
    """What identifies an embedder, kept with the store. It holds no secret.

    Attributes:
        spec: CrewAI embedder spec without its secrets, or ``None`` for a custom function.
        probe: the first components of a custom function's vector for a fixed text, unit length.
    """

    spec: Mapping[str, Any] | None = None
    probe: tuple[float, ...] | None = None

    def describe(self) -> str:
        if self.spec is None:
            return "a custom embedding function"
        config = self.spec.get("config") or {}
        model = next((config[k] for k in ("model_name", "model", "model_id", "deployment_id") if k in config), None)
        return f"{self.spec['provider']}/{model}" if model else str(self.spec["provider"])

    def same_embedder(self, other: Fingerprint) -> bool:
        """Whether vectors of the two may be compared with each other."""
        if self.spec is not None and other.spec is not None:
            return _identity(self.spec) == _identity(other.spec)
        if self.probe is not None and other.probe is not None:
            return len(self.probe) == len(other.probe) and _cosine(self.probe, other.probe) >= PROBE_SIMILARITY
        return False

    def to_json(self) -> dict[str, Any]:
        return {"spec": self.spec, "probe": None if self.probe is None else list(self.probe)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fingerprint:
        probe = data.get("probe")
        return cls(spec=data.get("spec"), probe=None if probe is None else tuple(probe))


class Embedder:
    """A dense embedder with an identity. Calling it embeds; its ``repr`` names the model and no secret."""

    def __init__(self, function: EmbeddingFunction, fingerprint: Fingerprint, dimensions: int | None = None) -> None:
        self._function = function
        self.fingerprint = fingerprint
        self.dimensions = dimensions

    @classmethod
    def build(cls, embedder: Mapping[str, Any] | EmbeddingFunction) -> Embedder:
        """Build from a CrewAI spec (``{"provider": ..., "config": {...}}``) or a callable.

        A callable is called once, with a short fixed text, to learn its dimensions and identity; a spec is not.

        Raises:
            ConfigurationError: neither a spec nor a callable.
            EmbedderUnavailableError: it cannot be built or called.
        """
        if isinstance(embedder, Embedder):
            return embedder
        if isinstance(embedder, Mapping):
            spec = normalize_spec(embedder)
            public = public_spec(spec)
            function = _build_from_spec(spec)
            if public is not None:
                return cls(function, Fingerprint(spec=public))
        elif callable(embedder):
            function = embedder
        else:
            raise ConfigurationError(f"embedder is a {type(embedder).__name__}: {EMBEDDER_HELP}")
        probed = cls(function, Fingerprint())
        vector = probed.embed([PROBE_TEXT])[0]
        if not vector:
            raise EmbedderUnavailableError("the embedder returned no vector for a plain English sentence")
        return cls(function, Fingerprint(probe=_unit(vector[:PROBE_LENGTH])), dimensions=len(vector))

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text; empty for a blank text or where the embedder gave none.

        Raises:
            EmbedderUnavailableError: the embedder failed.
            EmbedderError: it returned another number of vectors, or numbers that are not finite.
        """
        wanted = [(index, text) for index, text in enumerate(texts) if text.strip()]
        vectors: list[list[float]] = [[] for _ in texts]
        if not wanted:
            return vectors
        try:
            answer = list(self._function([text for _, text in wanted]))
        except Exception as error:
            raise EmbedderUnavailableError(f"{self!r} failed: {type(error).__name__}: {redact(str(error))}") from error
        if len(answer) != len(wanted):
            raise EmbedderError(f"{self!r} returned {len(answer)} vectors for {len(wanted)} texts")
        for (index, _), vector in zip(wanted, answer, strict=True):
            vectors[index] = check_vector("the embedder's vector", vector)
        return vectors

    def __call__(self, texts: list[str]) -> list[list[float]]:
        return self.embed(texts)

    def __repr__(self) -> str:
        return f"Embedder({self.fingerprint.describe()})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Embedder:
        # Clients inside hold sockets and locks; a copied crew shares the embedder.
        return self


def check_vector(name: str, vector: Any) -> list[float]:
    """A vector as a list of finite floats.

    Raises:
        EmbedderError: not a sequence of finite numbers.
    """
    values: list[float] = list(vector.tolist() if hasattr(vector, "tolist") else _sequence(name, vector))
    try:
        # One pass in C: a sum of finite floats is finite unless it overflows, which no embedding does.
        finite = math.isfinite(math.fsum(values))
    except (TypeError, ValueError, OverflowError) as error:
        raise EmbedderError(f"{name} is not a sequence of numbers: {error}") from error
    if not finite:
        raise EmbedderError(f"{name} has a number that is not finite: check the embedder's input and output")
    return values


def _sequence(name: str, vector: Any) -> Any:
    if isinstance(vector, (str, bytes)) or not hasattr(vector, "__iter__"):
        raise EmbedderError(f"{name} is not a sequence of numbers but {type(vector).__name__}")
    return vector


def default_embedder_spec() -> Mapping[str, Any] | None:
    """What a *new* store gets when nothing is said: OpenAI when its key is set, keywords only otherwise."""
    return DEFAULT_SPEC if os.environ.get("OPENAI_API_KEY") else None


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
    # crewai 1.15.30 documents "model" for OpenAI and then fails on it with a TypeError.
    if spec["provider"] in ("openai", "azure") and "model" in config:
        config.setdefault("model_name", config.pop("model"))
        config.pop("model", None)
    return {"provider": spec["provider"], "config": config}


def public_spec(spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """The spec without secrets; ``None`` when it holds objects (a custom class), which cannot be kept as text."""
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


def _build_from_spec(spec: Mapping[str, Any]) -> EmbeddingFunction:
    from crewai.rag.embeddings.factory import build_embedder

    try:
        function: EmbeddingFunction = build_embedder(dict(spec))
    except Exception as error:
        raise EmbedderUnavailableError(
            f"embedder {spec['provider']!r} cannot be built: {redact(str(error))}. Set its key or install its "
            "package, or pass embedder= (for a new store, embedder=None keeps to keywords)"
        ) from error
    return function


def _identity(spec: Mapping[str, Any]) -> str:
    """What makes two specs the same embedder: provider, model and dimensions, not where it is reached."""
    config = {
        key: value
        for key, value in (spec.get("config") or {}).items()
        if value is not None and (re.search("model|deployment", key) or key == "dimensions")
    }
    return json.dumps([spec["provider"], config], sort_keys=True)


def _unit(vector: Sequence[float]) -> tuple[float, ...]:
    norm = math.sqrt(math.fsum(x * x for x in vector)) or 1.0
    return tuple(round(x / norm, 6) for x in vector)


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


# -- keywords ------------------------------------------------------------------------------------------------------


class SparseVector(Protocol):
    """Token ids and their weights, in whatever object the encoder made: the embedded engine takes it as it is."""

    @property
    def indices(self) -> list[int]: ...

    @property
    def values(self) -> list[float]: ...


class KeywordEncoder:
    """BM25 term weights as sparse vectors, the same numbers Qdrant's server computes for ``qdrant/bm25``.

    ``k = 1.2``, ``b = 0.75``, an expected length of 256 tokens, lower case, accents folded, and the stop words
    and stemmer of ``language`` (``"none"`` for neither). IDF is applied by the engine at query time.
    """

    def __init__(self, language: str = "english") -> None:
        from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet

        try:
            if language == "none":
                config = Bm25Config(ascii_folding=True, stemmer=DisabledStemmer(), stopwords=StopwordsSet())
            else:
                config = Bm25Config(ascii_folding=True, language=language)
            self._model = Bm25(config)
        except ValueError as error:
            raise ConfigurationError(
                f"language {language!r} is not supported: {error}. Use a language such as 'english' or 'german', "
                "or 'none' for no stop words and no stemming"
            ) from error

    def document(self, text: str) -> SparseVector:
        return self._model.embed_document(text)

    def query(self, text: str) -> SparseVector:
        return self._model.embed_query(text)

    def similarity(self, a: str, b: str) -> float:
        """Cosine of the two texts' sets of terms, 0…1: how much they say with the same words."""
        terms_a, terms_b = set(self.query(a).indices), set(self.query(b).indices)
        if not terms_a or not terms_b:
            return 0.0
        return len(terms_a & terms_b) / math.sqrt(len(terms_a) * len(terms_b))
