"""Every error this package raises, as one tree a caller can act on.

No class here is a ``RuntimeError``: CrewAI's background save pool treats every ``RuntimeError`` as "the
interpreter is shutting down" and swallows it (seen in crewai 1.10.1 to 1.15.30), which would turn a refused
write into silent forgetting.
"""

from __future__ import annotations


class PersistentMemoryError(Exception):
    """Base of every error raised by ``crewai_persistent_memory``."""


class ConfigurationError(PersistentMemoryError):
    """An option is unknown, malformed, or contradicts another one. The message names the option and the fix."""


class UnsupportedCrewAIError(PersistentMemoryError, ImportError):
    """The installed CrewAI is not one this package works with, or lacks what was asked for."""


class NotPicklableError(PersistentMemoryError, TypeError):
    """A memory or a store was pickled, for another process say. The message says what to do instead."""


# -- whose memory it is --------------------------------------------------------------------------------------------


class ScopeError(PersistentMemoryError):
    """Something is wrong with the scope of a call."""


class InvalidScopeError(ScopeError):
    """A scope field is blank, too long, not text, or carries control characters."""


class MissingScopeError(ScopeError):
    """No user was given, neither at construction nor by ``use_scope``: there is no memory without a user."""


class ScopeConflictError(ScopeError):
    """``use_scope`` or ``scoped`` contradicts a field that was fixed when the memory was built."""


class CrewInUseError(ScopeError):
    """A crew, agent, task or flow object was started while it runs, or a flow that has run for somebody else."""


# -- what is remembered --------------------------------------------------------------------------------------------


class InvalidEntryError(PersistentMemoryError):
    """An entry or a filter cannot be stored or applied as given. The message names the field."""


class EntryNotFoundError(PersistentMemoryError):
    """No entry with that id is visible in the scope."""


# -- how it is found -----------------------------------------------------------------------------------------------


class EmbedderError(PersistentMemoryError):
    """Something is wrong with the embedder."""


class EmbedderUnavailableError(EmbedderError):
    """The embedder the store was created with cannot be built or called (missing key, missing package, failure)."""


class EmbedderMismatchError(EmbedderError):
    """The store was created with another embedder than the one given."""


class DimensionMismatchError(EmbedderError):
    """A vector has another length than the vectors of the store.

    Attributes:
        stored_dim: length of the store's vectors.
        new_dim: length of the vector that was refused.
    """

    def __init__(self, stored_dim: int, new_dim: int) -> None:
        self.stored_dim = stored_dim
        self.new_dim = new_dim
        # Not super(): the CrewAI adapter joins this with CrewAI's own class, whose constructor takes other arguments.
        Exception.__init__(
            self,
            f"the store holds vectors of {stored_dim} dimensions, this one has {new_dim}: use the embedder the store "
            f"was created with, or open another store (another path= or collection) for the new embedder",
        )


# -- where it is kept ----------------------------------------------------------------------------------------------


class StoreError(PersistentMemoryError):
    """The store could not do what was asked."""


class StoreInUseError(StoreError):
    """Another process has the embedded store open."""


class StoreClosedError(StoreError):
    """The store was closed, or was opened before a ``fork`` and is used in the child."""


class StorePathError(StoreError):
    """The path cannot hold a store: not writable, not a directory, or full of something else."""


class StoreCorruptedError(StoreError):
    """The files at the path are not a readable store any more."""


class StoreFullError(StoreError):
    """There is no room for the write. Nothing of it was stored; what was stored before is intact."""


class SchemaVersionError(StoreError):
    """The store was written by a newer version of this package."""


class StoreUnavailableError(StoreError):
    """A server does not answer: it is down, unreachable or too slow. The message says what was tried, and whether a
    write may have been done all the same."""


class StoreBusyError(StoreError):
    """A server refused because of too many requests, and went on refusing while it was asked again.

    Attributes:
        retry_after: seconds after which it wants to be asked again, ``None`` if it did not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class StorePermissionError(StoreError):
    """The key is missing or wrong, or may not do this."""


class StoreMissingError(StoreError):
    """The collection does not exist (any more), and was not to be created."""


class ServerVersionError(StoreError):
    """The server is older than what is asked of it needs. The message names both versions."""


class EngineError(StoreError):
    """The engine refused or failed an operation; the engine's own words are in the message."""
