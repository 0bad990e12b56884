"""Whether the installed versions fit, and whether this CrewAI drops ``external_memory``."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from ..crewai_version import UNIFIED_SINCE, installed
from ..errors import UnsupportedCrewAIError
from .examined import Examined
from .findings import Findings, check, error, note, ok, warning
from .second_process import answer_of, run_module

DISTRIBUTION: Final = "crewai-persistent-memory"
SHOWN: Final = ("crewai", "mem0ai", "qdrant-client", "qdrant-edge-py")
MEM0_STORAGE_BREAKS_FROM: Final = Version("2")
"""CrewAI's own ``Mem0Storage`` (until 1.9.3) gives arguments that mem0ai 2 does not take."""

CREWAI_STARTS_WITHIN: Final = 40.0
AT_LEAST: Final = 2.0
"""Seconds. No CrewAI starts in less."""
DEAD_STORE_WITHIN: Final = 6.0
"""Seconds of the whole report if the store does not answer."""


@check("versions")
def versions_that_fit(examined: Examined) -> Findings:
    """Compare each dependency with the range that this package was made for."""
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        yield note(f"{DISTRIBUTION} is not installed as a package, so the versions of others are not compared")
        return
    unfit = False
    for line in lines:
        for finding in _of_one(line, examined):
            unfit = True
            yield finding
    try:
        crewai = installed()
    except UnsupportedCrewAIError as failure:
        yield error(str(failure), "Install a CrewAI of this range")
        return
    yield from _of_crewais_mem0(crewai, examined)
    names = ", ".join(f"{name} {_installed(name)}" for name in SHOWN if _installed(name))
    python = ".".join(map(str, sys.version_info[:3]))
    generation = "one memory, since 1.10" if installed() >= UNIFIED_SINCE else "external memory, until 1.9.3"
    if not unfit:
        yield ok(f"the versions fit: {names}, Python {python}. CrewAI's memory is of the generation '{generation}'")


def _of_one(line: str, examined: Examined) -> Findings:
    try:
        needed = Requirement(line)
    except InvalidRequirement:
        return
    if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
        return
    if needed.name == "crewai":
        return  # compared by the range that the code knows
    found = _installed(needed.name)
    if found is None:
        yield error(f"{needed.name} is not installed", f"pip install '{needed}'")
        return
    try:
        fits = needed.specifier.contains(Version(found), prereleases=True)
    except InvalidVersion:
        return
    if fits:
        return
    text = f"{needed.name} {found} is installed, and {needed.specifier} is needed"
    if needed.name == "mem0ai" and not examined.is_mem0:
        yield warning(f"{text} for Mem0", f"pip install '{needed}'")
    else:
        yield error(text, f"pip install '{needed}'")


def _of_crewais_mem0(crewai: tuple[int, int, int], examined: Examined) -> Findings:
    found = _installed("mem0ai")
    if found is None or crewai >= UNIFIED_SINCE or Version(found) < MEM0_STORAGE_BREAKS_FROM:
        return
    text = f"mem0ai {found} is too new for the Mem0Storage of CrewAI {'.'.join(map(str, crewai))} itself"
    remedy = (
        "Import Crew and ExternalMemory from crewai_persistent_memory, which work with it, or pip install 'mem0ai<2'"
    )
    uses_mem0 = examined.is_mem0 or bool(examined.environment.get("MEM0_API_KEY"))
    yield warning(text, remedy) if uses_mem0 else note(text, remedy)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@check("crew")
def the_crew_has_a_memory(examined: Examined) -> Findings:
    """A crew that was given to the report, and whether a memory of this package is in it."""
    if examined.crew is None:
        return
    if examined.given is not None:
        yield ok("the crew has a memory of this package")
        return
    since = ""
    if installed() >= UNIFIED_SINCE:
        since = ". Since 1.10 CrewAI's own Crew drops external_memory= without a word"
    yield error(
        f"the crew has no memory of this package, so it remembers nothing here{since}",
        "Crew(..., **memory.crew_kwargs()), or from crewai_persistent_memory import Crew",
    )


@check("external_memory", seconds=CREWAI_STARTS_WITHIN + 5)
def external_memory_is_dropped(examined: Examined) -> Findings:
    """Build a real crew with ``external_memory=`` in a process of its own, and see whether it is there."""
    seconds = CREWAI_STARTS_WITHIN
    if examined.cannot_open:
        seconds = max(0.0, DEAD_STORE_WITHIN - (time.monotonic() - examined.started))
    kept = _is_kept(seconds) if seconds > AT_LEAST else None
    dropped, how = (
        (installed() >= UNIFIED_SINCE, "by its version") if kept is None else (not kept, "tried on a real crew")
    )
    name = f"CrewAI {_installed('crewai')}"
    if dropped:
        yield note(
            f"{name} drops Crew(external_memory=...) without a word ({how})",
            "Crew(..., **memory.crew_kwargs()), or from crewai_persistent_memory import Crew",
        )
    else:
        yield ok(f"{name} keeps Crew(external_memory=...) ({how})")


def _is_kept(seconds: float) -> bool | None:
    """``None``: it could not be tried in time. Tried once in a process: CrewAI stays the same."""
    if _tried:
        return _tried[0]
    quiet = {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true", "CREWAI_TRACING_ENABLED": "false"}
    try:
        done = run_module(f"{__package__}.crew_process", "", seconds, **quiet)
    except (OSError, subprocess.TimeoutExpired):
        return None
    answer: Mapping[str, Any] | None = answer_of(done.stdout)
    if answer is not None:
        _tried.append(bool(answer["kept"]))
    return _tried[0] if _tried else None


_tried: Final[list[bool]] = []
