"""Dense embedders (CrewAI's specs or any callable): calls within their limits, keys, and fingerprints."""

from ..redaction import redact
from ..text.bm25 import KeywordEncoder, SparseVector
from .checked import check_vector
from .dense import EMBEDDER_HELP, Embedder, EmbeddingFunction
from .fingerprint import PROBE_TEXT, Fingerprint, normalize_spec, public_spec
from .names import spec_of_name
from .token_vectors import TokenEmbedder, TokenVectors
from .vector_cache import VECTORS

__all__ = [
    "EMBEDDER_HELP",
    "PROBE_TEXT",
    "VECTORS",
    "Embedder",
    "EmbeddingFunction",
    "Fingerprint",
    "KeywordEncoder",
    "SparseVector",
    "TokenEmbedder",
    "TokenVectors",
    "check_vector",
    "normalize_spec",
    "public_spec",
    "redact",
    "spec_of_name",
]
