"""Text to vectors: dense embedders (CrewAI's specs or any callable), BM25 keywords, and what identifies them."""

from ..redaction import redact
from .bm25 import KeywordEncoder, SparseVector
from .dense import DEFAULT_SPEC, EMBEDDER_HELP, Embedder, EmbeddingFunction, check_vector, default_embedder_spec
from .fingerprint import PROBE_TEXT, Fingerprint, normalize_spec, public_spec

__all__ = [
    "DEFAULT_SPEC",
    "EMBEDDER_HELP",
    "PROBE_TEXT",
    "Embedder",
    "EmbeddingFunction",
    "Fingerprint",
    "KeywordEncoder",
    "SparseVector",
    "check_vector",
    "default_embedder_spec",
    "normalize_spec",
    "public_spec",
    "redact",
]
