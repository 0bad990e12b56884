"""Every error this package raises, as one tree a caller can act on.

::

    PersistentMemoryError
    ├── ConfigurationError            an option is wrong
    ├── UnsupportedCrewAIError        (ImportError)
    ├── NotPicklableError             (TypeError)
    ├── ScopeError
    │   ├── InvalidScopeError
    │   ├── MissingScopeError
    │   ├── ScopeConflictError
    │   └── CrewInUseError
    ├── InvalidEntryError             a value cannot be stored or applied
    │   ├── InvalidArgumentError      (ValueError) a limit, weights, a query, a filter
    │   └── RequestRefusedError       also an EngineError: the engine refused the request as wrong
    ├── EntryNotFoundError
    ├── EmbedderError
    │   ├── EmbedderUnavailableError
    │   ├── EmbedderMismatchError
    │   └── DimensionMismatchError
    └── StoreError
        ├── StoreInUseError           not done, may be tried again
        ├── StoreClosedError
        ├── StorePathError
        ├── StoreCorruptedError
        ├── StoreFullError
        ├── SchemaVersionError
        ├── StoreUnavailableError     not done, or unknown
        ├── StoreBusyError            not done, may be tried again
        ├── StorePermissionError
        ├── StoreMissingError
        ├── ServerVersionError
        └── EngineError
            └── RequestRefusedError

``outcome``, ``retryable`` and ``retry_after`` of an error tell whether the call took effect, and whether the same call
may be repeated.

No class here is a ``RuntimeError``. CrewAI's background save pool treats every ``RuntimeError`` as "the interpreter is
shutting down" and swallows it (seen in crewai 1.10.1 to 1.15.30). A refused write would then be lost silently.
"""

from __future__ import annotations

from enum import Enum
from typing import Any


class Outcome(str, Enum):
    """The effect of a failed call. The members are texts: ``error.outcome == "unknown"``."""

    REFUSED = "refused"
    """The call had no effect, and the same call would be refused again."""
    NOT_DONE = "not_done"
    """The call had no effect, and the same call may succeed later."""
    UNKNOWN = "unknown"
    """The call may have taken effect: the answer is missing, or reports that a part failed."""


class PersistentMemoryError(Exception):
    """Base of every error raised by ``crewai_persistent_memory``.

    Attributes:
        outcome: the effect of the failed request; ``None`` if the error concerns no request. A call with several
            requests (a ``put`` of thousands of entries) may have done a part of its work before.
        retryable: whether the same call may be repeated later. It is idempotent and may succeed.
        retry_after: seconds to wait before the next request, as the server asked; ``None`` if it did not.
    """

    outcome: Outcome | None = None
    retryable: bool = False
    retry_after: float | None = None

    def __init__(
        self,
        *args: object,
        outcome: Outcome | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(*args)
        # Set only values that differ from the class: pickle and copy carry ``args`` and the instance's dict.
        if outcome is not None:
            self.outcome = outcome
        if retryable is not None:
            self.retryable = retryable
        if retry_after is not None:
            self.retry_after = retry_after


class ConfigurationError(PersistentMemoryError):
    """An option is unknown, malformed, or contradicts another one. The message names the option and the fix."""


class UnsupportedCrewAIError(PersistentMemoryError, ImportError):
    """This package does not support the installed CrewAI, or that CrewAI lacks a requested feature."""


class NotPicklableError(PersistentMemoryError, TypeError):
    """A memory or a store was pickled, for example for another process. The message names the alternative."""


# -- whose memory it is --------------------------------------------------------------------------------------------


class ScopeError(PersistentMemoryError):
    """Something is wrong with the scope of a call."""

    outcome = Outcome.REFUSED


class InvalidScopeError(ScopeError):
    """A scope field is blank, too long, not text, or carries control characters."""


class MissingScopeError(ScopeError):
    """No user was given, neither at construction nor by ``use_scope``. Every memory needs a user."""


class ScopeConflictError(ScopeError):
    """``use_scope`` or ``scoped`` contradicts a field that was fixed when the memory was built."""


class CrewInUseError(ScopeError):
    """A crew, agent, task or flow object was started while it runs, or a flow after a run for another owner."""


# -- what is remembered --------------------------------------------------------------------------------------------


class InvalidEntryError(PersistentMemoryError):
    """An entry or an argument cannot be stored or applied as given. The message names the field."""

    outcome = Outcome.REFUSED


class InvalidArgumentError(InvalidEntryError, ValueError):
    """A wrong argument outside an entry: a limit, weights, a query, a filter. The message names it.

    ``except InvalidEntryError`` handles both, for a caller that passes on values from its own users.
    """


class EntryNotFoundError(PersistentMemoryError):
    """No entry with that id is visible in the scope."""

    outcome = Outcome.REFUSED


# -- how it is found -----------------------------------------------------------------------------------------------


class EmbedderError(PersistentMemoryError):
    """The embedder failed or does not fit. Texts are embedded before they are stored, so nothing was stored."""

    outcome = Outcome.REFUSED


class EmbedderUnavailableError(EmbedderError):
    """The embedder the store was created with cannot be built or called (missing key, missing package, failure)."""

    outcome = Outcome.NOT_DONE
    retryable = True


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
        # Not super(): the CrewAI adapter combines this with CrewAI's own class, which has other constructor arguments.
        Exception.__init__(
            self,
            f"the store holds vectors of {stored_dim} dimensions, this one has {new_dim}: use the embedder the store "
            f"was created with, or open another store (another path= or collection) for the new embedder",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.stored_dim, self.new_dim), vars(self)


# -- where it is kept ----------------------------------------------------------------------------------------------


class StoreError(PersistentMemoryError):
    """The store could not execute the call."""

    outcome = Outcome.REFUSED


class StoreInUseError(StoreError):
    """Another process has the embedded store open."""

    outcome = Outcome.NOT_DONE
    retryable = True


class StoreClosedError(StoreError):
    """The store was closed, or was opened before a ``fork`` and is used in the child."""


class StorePathError(StoreError):
    """The path cannot hold a store: it is not writable, not a directory, or holds other files."""


class StoreCorruptedError(StoreError):
    """The files at the path are not a readable store any more."""

    outcome = Outcome.UNKNOWN


class StoreFullError(StoreError):
    """The disk or the plan has no room for the write. The write had no effect, and earlier entries are intact."""


class SchemaVersionError(StoreError):
    """The store was written by a newer version of this package."""


class StoreUnavailableError(StoreError):
    """A server does not answer: it is down, unreachable or too slow. The message names the attempts. ``outcome`` tells
    whether a write may have taken effect."""

    outcome = Outcome.UNKNOWN


class StoreBusyError(StoreError):
    """A server refused a request because of too many requests, also after retries."""

    outcome = Outcome.NOT_DONE
    retryable = True

    def __init__(
        self,
        message: str,
        retry_after: float | None = None,
        *,
        outcome: Outcome | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, outcome=outcome, retryable=retryable, retry_after=retry_after)


class StorePermissionError(StoreError):
    """The API key is missing, wrong, or lacks the permission."""


class StoreMissingError(StoreError):
    """The collection does not exist (any more) and may not be created, or the server lacks the requested object."""


class ServerVersionError(StoreError):
    """The server is too old for the request. The message names both versions."""


class EngineError(StoreError):
    """The engine refused or failed an operation. The message has the engine's own text."""

    outcome = Outcome.UNKNOWN


class RequestRefusedError(EngineError, InvalidEntryError):
    """The engine refused the request as wrong (HTTP 400, 409 and 422). The message has the engine's own text.

    It belongs to both classes, because only that text tells whether an entry or something else was wrong.
    """

    outcome = Outcome.REFUSED
