"""The report: every check, each within its time, and none of them able to end the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import Unpack

from ..config.arguments import MemoryOptions
from ..errors import ConfigurationError, PersistentMemoryError
from ..redaction import seal
from ..store.base import MemoryStore
from ..store.middleware import read_only as refuses_writes
from . import (
    crewai_storage,
    destinations,
    embedders,
    folders,
    nearby,
    opening,
    outboxes,
    probes,
    scopes,
    server,
    settings,
    versions,
)
from .examined import Examined
from .findings import Check, Finding, Findings, checks_of
from .findings import error as error_of
from .findings import warning as warning_of
from .pending import Pending, TooSlow
from .secrets import Secrets

if TYPE_CHECKING:
    pass

CHECKS: Final[Sequence[Check]] = [
    each
    for module in (
        settings,
        folders,
        opening,
        server,
        probes,
        scopes,
        nearby,
        embedders,
        outboxes,
        destinations,
        crewai_storage,
        versions,
    )
    for each in checks_of(module)
]
"""In the order of the report. A check of another module's store comes after ``opening``."""

CLOSING: Final = 8.0
"""Seconds to take the probe back and to close the store."""

logger = logging.getLogger("crewai_persistent_memory")


def health_report(
    memory: Any = None,
    *,
    peer: str | None = None,
    peer_api_key: str | None = None,
    read_only: bool = False,
    **options: Unpack[MemoryOptions],
) -> list[Finding]:
    """Look for the reasons why memory does not persist. The report names what was found, and what to do about it.

    It blocks for seconds; on an event loop call it with ``asyncio.to_thread``. It changes nothing but one entry of a
    user of its own, which it writes, finds and deletes. Nothing is raised, whatever is wrong.

    Args:
        memory: a memory, a store or a crew that is in use; left out: the store that the options and the environment
            name.
        peer: the address of another replica's Qdrant, or its folder: what is written here is to be found there.
        peer_api_key: the key for ``peer``. A key of this store is not sent to another address.
        read_only: write nothing, so that "a write arrives" is not checked.
        options: as of :func:`open_store`; for ``memory=`` they are those that it was opened with.

    Returns:
        The findings, in the order of the checks.
    """
    seal(options)
    try:
        examined = examined_of(memory, peer, peer_api_key, read_only, options)
    except Exception as failure:  # noqa: BLE001 - such as a CrewAI that cannot be imported
        examined = Examined(wrong=ConfigurationError(f"{type(failure).__name__}: {failure}"))
    return examine(examined)


def examine(examined: Examined, checks: Sequence[Check] | None = None) -> list[Finding]:
    """Every finding of the checks, without keys; left out: of all checks."""
    found: list[Finding] = []
    try:
        for each in CHECKS if checks is None else checks:
            found += _within(each, examined)
    finally:
        found += _within(Check("probe", CLOSING, _close), examined)
    secrets = Secrets(examined.config, examined.peer_key)
    return [replace(each, found=secrets.without(each.found), remedy=secrets.without(each.remedy)) for each in found]


def examined_of(
    memory: Any, peer: str | None, peer_key: str | None, read_only: bool, options: MemoryOptions
) -> Examined:
    """What :func:`health_report` was asked about. Wrong options are a part of it."""
    about: dict[str, Any] = {"peer": peer, "peer_key": peer_key, "read_only": read_only}
    if memory is None:
        return Examined(**about, user=options.get("user_id"), **_configured(options))
    if options:
        names = ", ".join(options)
        wrong = ConfigurationError(
            f"{names}: the options of a memory are those that it was opened with, leave them out"
        )
        return Examined(**about, wrong=wrong)
    store: Any = memory if isinstance(memory, MemoryStore) else getattr(memory, "store", None)
    if not isinstance(store, MemoryStore):
        crew, store = memory, _store_of_crew(memory)
        if store is None:
            return Examined(**about, crew=crew, **_configured({}))
        about["crew"] = crew
    about["read_only"] = read_only or refuses_writes in store.middleware or _is_read_only(memory)
    return Examined(**about, user=store.binding.user_id, given=store, config=store.opened_with)


def _is_read_only(memory: Any) -> bool:
    parts = getattr(memory, "_parts", None)  # of a PersistentMemory, whose module imports CrewAI
    return bool(getattr(parts, "read_only", False))


def _configured(options: MemoryOptions) -> dict[str, Any]:
    from ..config.options import MemoryConfig

    try:
        return {"config": MemoryConfig.build(**options)}
    except PersistentMemoryError as error:
        return {"wrong": error}
    except ValueError as error:  # what no model has looked at
        return {"wrong": ConfigurationError(str(error))}


def _store_of_crew(crew: Any) -> MemoryStore | None:
    from ..adapters.crew_memories import memories_of_crew, store_of

    try:
        return next((store for memory in memories_of_crew(crew) if (store := store_of(memory)) is not None), None)
    except (AttributeError, TypeError):  # it is no crew
        return None


def _close(examined: Examined) -> Findings:
    examined.close()
    yield from ()


def _within(each: Check, examined: Examined) -> list[Finding]:
    """The findings of a check. One that fails, or takes too long, is a finding."""
    found: list[Finding] = []

    def work() -> None:
        for finding in each.function(examined):
            found.append(finding)

    try:
        Pending(work).result(each.seconds)
    except TooSlow:
        found = [*found, _too_slow(each)]  # the thread may go on with the other list
    except Exception as failure:  # noqa: BLE001 - it is a finding
        found.append(_failed(failure))
    return [replace(finding, check=each.name) for finding in found]


def _too_slow(each: Check) -> Finding:
    return warning_of(
        f"this check did not end within {each.seconds:g} s",
        "See which folder or address does not answer, and run it again",
    )


def _failed(failure: Exception) -> Finding:
    logger.debug("a check of the doctor failed", exc_info=failure)
    if isinstance(failure, PersistentMemoryError):
        return error_of(str(failure), "See the message; the other checks went on")
    text = f"this check failed: {type(failure).__name__}: {failure}"
    return warning_of(text, "Report it, with the output of --json: a check must not fail")
