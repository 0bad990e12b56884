"""``crewai-memory doctor``: why memory does not persist."""

from __future__ import annotations

import logging
import os
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..errors import ConfigurationError
from .output import as_json, one_line
from .target import Target

if TYPE_CHECKING:
    from ..doctor.findings import Finding

COLORS: Final = {"ok": "green", "note": "blue", "warning": "yellow", "error": "red"}
WIDTH: Final = 16
"""Columns for the name of a check."""


def doctor(
    target: Target,
    peer: Annotated[
        str | None, typer.Option("--peer", help="Another replica's Qdrant, or its folder: is it the same store?")
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Write nothing, not even the probe.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find out why memory does not persist: versions, settings, folders, the store, a write that arrives.

    Exit code 0 if no error was found (there may be warnings), 1 if one was. Nothing is changed but one entry, which is
    written, found and deleted. --user NAME also says where that user has memories.
    """
    from ..doctor.report import health_report
    from ..doctor.settings import PEER_KEY
    from ..scope import ScopeBinding

    if target.path is not None and target.url is not None:
        raise ConfigurationError("--path and --url are both given: a memory has one store, leave one out")
    if peer is not None and not peer.strip():
        raise ConfigurationError("--peer is empty: leave it out, or give the address of another replica")
    ScopeBinding.of(None, **target.scope_fields)
    options: Any = dict(target.store)
    options.update({name: value for name, value in target.scope_fields.items() if name in ("user_id", "org_id")})
    # The report says what the log would say.
    logging.getLogger("crewai_persistent_memory").addHandler(logging.NullHandler())
    found = health_report(peer=peer, peer_api_key=os.environ.get(PEER_KEY) or None, read_only=read_only, **options)
    if json:
        typer.echo(as_json([finding.to_dict() for finding in found]))
    else:
        _show(found)
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(1)


def _show(found: list[Finding]) -> None:
    for finding in found:
        typer.secho(f"{finding.level:8}", fg=COLORS[finding.level], nl=False)
        typer.echo(one_line(f"{finding.check:{WIDTH}} {finding.found}"))
        if finding.remedy and finding.level != "ok":
            typer.echo(one_line(f"{'':8}{'':{WIDTH}} → {finding.remedy}"))
    counts = Counter(finding.level for finding in found)
    typer.echo(one_line(f"{_number(counts['error'], 'error')}, {_number(counts['warning'], 'warning')}"))


def _number(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
