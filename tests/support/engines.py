"""The stores and engines the contract suite runs over. A new one joins by one line in ``STORES``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

STORES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "embedded": lambda folder: {"path": folder / "store"},
}
"""The options that open the one store that belongs to a test's folder."""
