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
    ├── InvalidEntryError             what was given cannot be stored or applied
    │   ├── InvalidArgumentError      (ValueError) a limit, weights, a query, a filter
    │   └── RequestRefusedError       also an EngineError: the engine found the request wrong
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
        ├── StoreUnavailableError     not done, or nobody knows
        ├── StoreBusyError            not done, may be tried again
        ├── StorePermissionError
        ├── StoreMissingError
        ├── ServerVersionError
        └── EngineError
            └── RequestRefusedError

Each error says by ``outcome``, ``retryable`` and ``retry_after`` what became of the call and whether the same call may
be made again.

No class here is a ``RuntimeError``: CrewAI's background save pool treats every ``RuntimeError`` as "the
interpreter is shutting down" and swallows it (seen in crewai 1.10.1 to 1.15.30), which would turn a refused
write into silent forgetting.
"""

from __future__ import annotations

from enum import Enum
from typing import Any


class Outcome(str, Enum):
    """What became of a call that failed. The members are texts: ``error.outcome == "unknown"``."""

    REFUSED = "refused"
    """Nothing was done, and the same call would be refused again."""
    NOT_DONE = "not_done"
    """Nothing was done; the same call may succeed later."""
    UNKNOWN = "unknown"
    """It may have been done: the answer is missing, or says that a part failed."""


class PersistentMemoryError(Exception):
    """Base of every error raised by ``crewai_persistent_memory``.

    Attributes:
        outcome: what became of the request that failed; ``None`` if the error is about no request. A call that needs
            several requests (a ``put`` of thousands of entries) may have done a part of its work before that request.
        retryable: the same call may be made again later: it may succeed, and doing it twice has the effect of doing it
            once.
        retry_after: seconds after which the server wants to be asked again, ``None`` if it did not say.
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
        # Only what differs from the class: the instance's dict is what pickle and copy carry beside ``args``.
        if outcome is not None:
            self.outcome = outcome
        if retryable is not None:
            self.retryable = retryable
        if retry_after is not None:
            self.retry_after = retry_after


class ConfigurationError(PersistentMemoryError):
    """An option is unknown, malformed, or contradicts another one. The message names the option and the fix."""


class UnsupportedCrewAIError(PersistentMemoryError, ImportError):
    """The installed CrewAI is not one this package works with, or lacks what was asked for."""


class NotPicklableError(PersistentMemoryError, TypeError):
    """A memory or a store was pickled, for another process say. The message says what to do instead."""


# -- whose memory it is --------------------------------------------------------------------------------------------


class ScopeError(PersistentMemoryError):
    """Something is wrong with the scope of a call."""

    outcome = Outcome.REFUSED


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
    """An entry or an argument cannot be stored or applied as given. The message names the field."""

    outcome = Outcome.REFUSED


class InvalidArgumentError(InvalidEntryError, ValueError):
    """An argument that is no part of an entry is wrong: a limit, weights, a query, a filter. The message names it.

    ``except InvalidEntryError`` handles both, for a caller that hands on what somebody else gave.
    """


class EntryNotFoundError(PersistentMemoryError):
    """No entry with that id is visible in the scope."""

    outcome = Outcome.REFUSED


# -- how it is found -----------------------------------------------------------------------------------------------


class EmbedderError(PersistentMemoryError):
    """Something is wrong with the embedder. Texts are embedded before they are stored: nothing was stored."""

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
        # Not super(): the CrewAI adapter joins this with CrewAI's own class, whose constructor takes other arguments.
        Exception.__init__(
            self,
            f"the store holds vectors of {stored_dim} dimensions, this one has {new_dim}: use the embedder the store "
            f"was created with, or open another store (another path= or collection) for the new embedder",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.stored_dim, self.new_dim), vars(self)


# -- where it is kept ----------------------------------------------------------------------------------------------


class StoreError(PersistentMemoryError):
    """The store could not do what was asked."""

    outcome = Outcome.REFUSED


class StoreInUseError(StoreError):
    """Another process has the embedded store open."""

    outcome = Outcome.NOT_DONE
    retryable = True


class StoreClosedError(StoreError):
    """The store was closed, or was opened before a ``fork`` and is used in the child."""


class StorePathError(StoreError):
    """The path cannot hold a store: not writable, not a directory, or full of something else."""


class StoreCorruptedError(StoreError):
    """The files at the path are not a readable store any more."""

    outcome = Outcome.UNKNOWN


class StoreFullError(StoreError):
    """There is no room for the write, on the disk or in the plan. Nothing of it was stored; what was stored before is
    intact."""


class SchemaVersionError(StoreError):
    """The store was written by a newer version of this package."""


class StoreUnavailableError(StoreError):
    """A server does not answer: it is down, unreachable or too slow. The message says what was tried, and ``outcome``
    whether a write may have been done all the same."""

    outcome = Outcome.UNKNOWN


class StoreBusyError(StoreError):
    """A server refused because of too many requests, and went on refusing while it was asked again."""

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
    """The key is missing or wrong, or may not do this."""


class StoreMissingError(StoreError):
    """The collection does not exist (any more) and was not to be created, or the server does not have what was asked
    for."""


class ServerVersionError(StoreError):
    """The server is older than what is asked of it needs. The message names both versions."""


class EngineError(StoreError):
    """The engine refused or failed an operation; the engine's own words are in the message."""

    outcome = Outcome.UNKNOWN


class RequestRefusedError(EngineError, InvalidEntryError):
    """The engine found the request wrong (HTTP 400, 409 and 422). The engine's own words are in the message.

    It is both errors, because only those words tell whether an entry or something else was wrong.
    """

    outcome = Outcome.REFUSED
