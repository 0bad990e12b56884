"""Makes the files beside it, on CrewAI 1.9.3: what a crew with ``memory=True`` has written in two kickoffs, as SQL.

    nox -s suite --notest && .nox/suite/bin/python tests/transfer/crewai-1.9.3/make.py

Of Chroma's tables those that hold documents, and what is needed to read them; the index for full text is left out.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CHROMA = (
    *("migrations", "tenants", "databases", "collections", "segments"),
    *("embeddings", "embedding_metadata", "max_seq_id", "embeddings_queue", "embeddings_queue_config"),
)


def dumped(file: Path, tables: tuple[str, ...]) -> str:
    lines = []
    with closing(sqlite3.connect(file)) as database:
        for table in tables:
            [(made,)] = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table])
            lines.append(f"{made};")
            if table == "migrations":  # the statements of Chroma's authors
                continue
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            values = " || ', ' || ".join(f"quote({column})" for column in columns)
            for (row,) in database.execute(f"SELECT {values} FROM {table}"):
                lines.append(f"INSERT INTO {table} VALUES ({row});")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from tests.support.openai_server import OpenAIServer

    with tempfile.TemporaryDirectory() as folder, OpenAIServer() as server:
        requests = ["I am allergic to nuts. Book a table.", "Which wine do I like? Final Answer: red?"]
        subprocess.run(
            [sys.executable, "-m", "tests.support.crewai_chroma", *requests],
            cwd=ROOT,
            env={**os.environ, "CREWAI_STORAGE_DIR": folder, "TEST_EMBEDDINGS": f"{server.url}/v1"},
            check=True,
        )
        (HERE / "chroma.sql").write_text(dumped(Path(folder, "chroma.sqlite3"), CHROMA), encoding="utf-8")
        long_term = dumped(Path(folder, "long_term_memory_storage.db"), ("long_term_memories",))
        (HERE / "long_term.sql").write_text(long_term, encoding="utf-8")
