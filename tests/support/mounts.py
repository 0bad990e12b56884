"""Mounting a disk for a test. Where that is not permitted, the test is skipped."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def mounted(*command: str | Path) -> None:
    """Run ``mount`` with these arguments."""
    try:
        done = subprocess.run(["mount", *command], capture_output=True, text=True)
    except FileNotFoundError as error:
        pytest.skip(f"cannot mount here: {error}")
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
