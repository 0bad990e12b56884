"""Dated conversations with questions, from a file that is not part of the project.

The file is JSON: a list of ``{"conversation", "sessions": [{"date", "turns": [{"id", "speaker", "text", "image"?}]}],
"questions": [{"question", "evidence": [ids], "category"}]}``.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .cases import Cases, Evidence, Memory, Owner, Question

_TURN = timedelta(minutes=1)
"""Between two turns of a session: the file has the time of the session only."""


def load(path: Path) -> tuple[Cases, Cases]:
    """Two sets: a memory for each turn, and a memory for each session."""
    conversations = json.loads(path.read_text(encoding="utf-8"))
    turns, sessions = [], []
    for conversation in conversations:
        user = f"conversation-{conversation['conversation']}"
        by_turn, by_session, where = [], [], {}
        for number, session in enumerate(conversation["sessions"], 1):
            start, lines = _time(session["date"]), []
            for at, turn in enumerate(session["turns"]):
                line = _line(turn)
                where[turn["id"]] = (f"S{number}", line)
                by_turn.append(Memory(turn["id"], line, start + at * _TURN))
                lines.append(line)
            by_session.append(Memory(f"S{number}", "\n".join(lines), start))
        asked = []
        for question in conversation["questions"]:
            known = [id for id in dict.fromkeys(question["evidence"]) if id in where]
            if known:
                asked.append((question["question"], known, str(question.get("category", ""))))
        turns.append(
            Owner(
                user,
                tuple(by_turn),
                tuple(
                    Question(text, tuple(Evidence(id, where[id][1]) for id in ids), kind) for text, ids, kind in asked
                ),
            )
        )
        sessions.append(
            Owner(
                user,
                tuple(by_session),
                tuple(Question(text, tuple(Evidence(*where[id]) for id in ids), kind) for text, ids, kind in asked),
            )
        )
    return (
        Cases("turns", "conversations, a memory for each turn", tuple(turns)),
        Cases("sessions", "conversations, a memory for each session", tuple(sessions)),
    )


def _line(turn: dict[str, Any]) -> str:
    image = f" [image: {turn['image']}]" if turn.get("image") else ""
    return f"{turn['speaker']}: {turn['text']}{image}"


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%I:%M %p on %d %B, %Y")
