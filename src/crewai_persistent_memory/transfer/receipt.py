"""The proof of an erasure: what was removed, when, what a check found, and what this package cannot reach."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from ..errors import InvalidArgumentError

FORMAT: Final = "crewai-memory-erasure-1"
LEAST_KEY: Final = 16
"""Bytes of a key: a shorter one is guessed."""


@dataclass(frozen=True)
class Receipt:
    """The receipt of an erasure.

    Attributes:
        store: which store it was, without keys.
        scope: whose memories: fields by name.
        began_at, ended_at: naive UTC.
        entries: that were removed from the store.
        projects: by project, how many there were when it began.
        waiting: writes that waited in this host's outbox for the store and were removed from it.
        dead_letters: writes that the store had refused, and that were removed from the outbox.
        rounds: how often everything was removed: more than once if something was being saved meanwhile.
        left: entries that the last check found, and writes that were still being delivered.
        remains: what may still have the texts, and until when.
    """

    store: str
    scope: Mapping[str, str]
    began_at: datetime
    ended_at: datetime
    entries: int
    projects: Mapping[str, int]
    waiting: int
    dead_letters: int
    rounds: int
    left: int
    remains: tuple[str, ...]

    def to_json(self, key: bytes | None = None) -> str:
        """The receipt as a JSON object in one line.

        Args:
            key: signs it: ``signature`` is HMAC-SHA256, in hexadecimal, of the object without it (keys sorted, no
                spaces, UTF-8).

        Raises:
            InvalidArgumentError: the key is shorter than 16 bytes.
        """
        about: dict[str, Any] = {"format": FORMAT, **asdict(self)}
        for name in ("began_at", "ended_at"):
            about[name] = about[name].isoformat() + "Z"
        if key is not None:
            about["signature"] = _signature(about, key)
        return _canonical(about)


def is_signed_with(receipt: str, key: bytes) -> bool:
    """Whether a receipt was signed with this key, and is as it was then.

    Raises:
        InvalidArgumentError: the key is shorter than 16 bytes, or the text is no receipt.
    """
    try:
        about = json.loads(receipt)
        signature = about.pop("signature", "")
        is_ours = about["format"] == FORMAT
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise InvalidArgumentError("receipt: this is no receipt of an erasure") from error
    if not is_ours:
        raise InvalidArgumentError(f"receipt: its format is {about['format']!r}, and {FORMAT!r} is known")
    return isinstance(signature, str) and hmac.compare_digest(signature.encode(), _signature(about, key).encode())


def _signature(about: Mapping[str, Any], key: bytes) -> str:
    if len(key) < LEAST_KEY:
        raise InvalidArgumentError(f"key: give at least {LEAST_KEY} bytes, such as those of: openssl rand -hex 32")
    return hmac.new(key, _canonical(about).encode(), hashlib.sha256).hexdigest()


def _canonical(about: Mapping[str, Any]) -> str:
    return json.dumps(about, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
