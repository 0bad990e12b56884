"""``recall --explain``; what it says is tested in ``tests/recall/test_explaining.py``."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from crewai_persistent_memory import MemoryEntry, open_store
from crewai_persistent_memory.validation import utcnow

from .conftest import Call

QUESTION = "Where does John live?"


def test_what_is_given_and_what_is_left_out(call: Call, tmp_path: Path) -> None:
    now = utcnow()
    with open_store(path=tmp_path / "store", embedder=None) as store:
        john = store.scoped(user_id="john")
        john.put(
            [
                MemoryEntry("berlin", "John lives in Berlin", created_at=now - timedelta(days=40)),
                MemoryEntry("rome", "John moved to Rome", created_at=now - timedelta(days=2)),
                MemoryEntry("long", "A report. " + "Many met John in the hall. " * 300),
                MemoryEntry("dinner", "John has dinner at seven", created_at=now - timedelta(days=9)),
            ]
        )
        store.scoped(user_id="jane").add("John lives in a secret house", id="secret")
    at = ("--path", str(tmp_path / "store"), "--user", "john")
    told = call("recall", QUESTION, "--explain", "--json", *at).json
    assert [each["id"] for each in told][:2] == ["rome", "berlin"]
    assert told[1]["because_of"] == "rome"
    assert "secret" not in json.dumps(told)
    text = " ".join(call("recall", QUESTION, "--explain", "--budget", "200", *at).out.split())
    assert "3 of 4 given" in text
    assert "no room in the" in text
    assert call("recall", "zebra", "--explain", *at).out.strip().endswith("nothing")
    assert call("recall", QUESTION, "--explain", "--budget", "3", *at).code == 2
    assert "--explain" in call("recall", QUESTION, "--budget", "300", *at).err
