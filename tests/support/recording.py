"""Programs that run in a user's environment and under ``recorder``, which sees every address that they contact."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from .thorough import sample

RECORDER: Final = Path(__file__).parent / "recorder"

KEYS: Final = {
    name: f"canary-{name}"
    for name in (
        *("OPENAI_API_KEY", "OPENAI_ORGANIZATION", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY"),
        *("QDRANT_API_KEY", "MEM0_API_KEY", "HF_TOKEN", "COHERE_API_KEY", "VOYAGE_API_KEY", "LANGCHAIN_API_KEY"),
        *("CREWAI_PERSONAL_ACCESS_TOKEN", "CREWAI_PLATFORM_INTEGRATION_TOKEN", "SERPER_API_KEY", "POSTHOG_API_KEY"),
    )
}
"""Of many services: each would be a reason to contact it."""
WITHOUT_KEYS: Final[Mapping[str, str]] = {}

USERS_KEYS: Final[list[Mapping[str, str]]] = sample([KEYS, WITHOUT_KEYS], 1)


def name_of(keys: Mapping[str, str]) -> str:
    return "with keys" if keys else "without keys"


class Recording:
    """What a program printed, and the lines that the recorder has written."""

    def __init__(self, file: Path, printed: str = "") -> None:
        self.printed = printed
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        self.processes = sum(line["how"] == "process" for line in lines)
        self._lines = [line for line in lines if line["how"] != "process"]

    def contacted(self, phase: str | None = None) -> set[str]:
        return {line["address"] for line in self._lines if phase in (None, line["phase"])}

    def seen_as(self, address: str) -> set[str]:
        return {line["how"] for line in self._lines if line["address"] == address}


def environment(folder: Path, allowed: Sequence[str], **more: str) -> dict[str, str]:
    """A user's environment, with nothing in it of this test run's."""
    home = folder / "home"
    home.mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(RECORDER),
        "HF_HUB_OFFLINE": "1",  # as docs/mem0.md says: fastembed is installed here, so Mem0 would download a model
        "RECORDER_FILE": str(folder / "recording"),
        "RECORDER_ALLOWED": json.dumps(list(allowed)),
        **more,
    }


def recorded(folder: Path, arguments: Sequence[str], allowed: Sequence[str], keys: Mapping[str, str]) -> Recording:
    """Run ``python ARGUMENTS``, a real interpreter: what an import contacts is recorded as well."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(folder, allowed, **keys),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    recording = Recording(folder / "recording", done.stdout)
    assert done.returncode == 0, f"{recording.contacted()}\n{(done.stdout + done.stderr)[-4000:]}"
    assert "canary-" not in done.stdout + done.stderr
    return recording
