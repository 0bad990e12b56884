"""The embedder: which one the store was made with, whether it answers, and whether it is used."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..backends.qdrant.backend import QdrantBackend
from ..backends.qdrant.embedder_choice import FROM_STORE, WithTokens, settle
from ..backends.qdrant.engine_requests import Unembedded
from ..backends.qdrant.manifest import EXTERNAL
from ..backends.qdrant.schema import where_scopes
from ..config.recall import MAXSIM
from ..errors import ConfigurationError, EmbedderError, EmbedderMismatchError, EmbedderUnavailableError
from ..io.steps import run
from .examined import Examined
from .findings import Findings, check, error, note, ok, warning
from .pending import Pending, TooSlow
from .settings import embedder_name

if TYPE_CHECKING:
    from ..backends.qdrant.manifest import Descriptor
    from ..embedding import Embedder

VARIABLE: Final = "CREWAI_MEMORY_EMBEDDER"
ANSWERS_WITHIN: Final = 5.0
"""Seconds for the vector of a short text."""
BUILT_WITHIN: Final = 40.0
"""Seconds to import what an embedder needs, and to load a model."""
MANY_WITHOUT: Final = 100
"""Entries without a vector are counted up to this number."""


@check("embedder", seconds=BUILT_WITHIN + ANSWERS_WITHIN + 5)
def the_embedder_answers(examined: Examined) -> Findings:
    """Choose the embedder as the application does, and ask it for a vector."""
    config = examined.config
    if config is None or examined.cannot_open:
        return
    named = examined.environment.get(VARIABLE)
    if examined.is_mem0:
        if named:
            yield warning(
                f"{VARIABLE} is set and not used: Mem0 embeds by itself", "Name the embedder in Mem0's configuration"
            )
        return
    if named and config.source_of("embedder") != VARIABLE:
        yield warning(
            f"{VARIABLE} is set and not used: the call gives {embedder_name(config.embedder)}",
            "Leave out embedder= in the call, or unset the variable",
        )
    descriptor = examined.descriptor()
    if descriptor is not None and descriptor.vectors == EXTERNAL:
        yield note("vectors are given by the caller (QdrantStorageBackend), so there is no embedder to check")
        return
    given: Any = config.embedder if config.embedder_given else FROM_STORE
    try:
        # A function is called to learn who it is; for a spec CrewAI is imported.
        seconds = ANSWERS_WITHIN if callable(given) else BUILT_WITHIN
        if config.reranker == MAXSIM:
            given = WithTokens(given)
        _, embedder = Pending(partial(settle, descriptor, given, config.language, "this place")).result(seconds)
    except TooSlow:
        yield error(f"the embedder {embedder_name(config.embedder)} does not answer within {seconds:g} s", _GONE)
        return
    except EmbedderMismatchError as failure:
        yield error(str(failure), "Search and save fail until the setting fits the store")
        return
    except EmbedderUnavailableError as failure:
        if _is_a_function_elsewhere(descriptor, config.embedder_given):
            yield note(
                "the store was made with a function as its embedder, which exists in the application only",
                "Call health_report(memory) in the application to check it",
            )
        else:
            yield error(str(failure), "Until it can be used, the application cannot open the store")
        return
    except ConfigurationError as failure:
        yield error(str(failure), "Correct the setting")
        return
    except EmbedderError as failure:
        yield error(str(failure), "Until it gives token vectors, the application cannot open the store")
        return
    if embedder is None:
        yield note(
            "the store goes by keywords only: it finds the same words, not the same meaning",
            "To find other words, give it an embedder: crewai-memory reembed local, or openai/text-embedding-3-small",
        )
        return
    yield from _asked(embedder, descriptor)
    yield from _unused(examined)


def _asked(embedder: Embedder, descriptor: Descriptor | None) -> Findings:
    name = embedder.fingerprint.describe()
    try:
        vector = Pending(embedder.probe).result(ANSWERS_WITHIN)
    except TooSlow:
        yield error(f"the embedder {name} does not answer within {ANSWERS_WITHIN:g} s", _GONE)
        return
    except EmbedderError as failure:
        yield error(f"the embedder {name} is gone: {failure}", _GONE)
        return
    wanted = None if descriptor is None else descriptor.dimensions
    if wanted is not None and len(vector) != wanted:
        yield error(
            f"the embedder {name} gives vectors of {len(vector)} numbers, and the store has {wanted}",
            "It is another model than the one that the store was made with: give that one, or make another store",
        )
    else:
        tokens = "" if embedder.tokens is None else f", and token vectors of {embedder.tokens.dimensions}"
        yield ok(f"the embedder {name} answers, with vectors of {len(vector)} numbers{tokens}")


_GONE: Final = "Start it, or correct its address or key. Until then memories are kept and found by their words only"


def _unused(examined: Examined) -> Findings:
    """Entries that were saved while the embedder was away, and that nobody has embedded since."""
    store = examined.store
    if store is None or not isinstance(store.backend, QdrantBackend):
        return
    org_id, project_id = examined.project
    connection = store.backend.connection
    where = where_scopes({"project_id": project_id, "org_id": org_id})
    without = len(run(connection.ask(Unembedded(where, MANY_WITHOUT), connection.route(org_id, project_id))))
    if without:
        count = f"{without} or more entries" if without == MANY_WITHOUT else f"{without} of the entries"
        yield warning(
            f"{count} of project {project_id} have no vector: they are found by their words only",
            "Later saves embed them; memory.store.embed_missing() does it at once, for the user of the memory",
        )


def _is_a_function_elsewhere(descriptor: Descriptor | None, given: bool) -> bool:
    fingerprint = None if descriptor is None else descriptor.fingerprint
    return not given and fingerprint is not None and fingerprint.spec is None
