"""Run before anything else is imported: CrewAI and mem0 read their environment when they are imported."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import certifi

GIVEN: dict[str, str] = {}
"""Live services, for the tests that are about them. The processes that pytest-xdist starts get them by other names."""
for _name in ("MEM0_API_KEY", "QDRANT_URL", "QDRANT_API_KEY"):
    if _value := os.environ.get(_name) or os.environ.get(f"GIVEN_{_name}"):
        GIVEN[_name] = os.environ[f"GIVEN_{_name}"] = _value


def one_certificate() -> str:
    """A file with the first of certifi's certificates."""
    all_of_them = Path(certifi.where()).read_text("utf-8")
    end = "-----END CERTIFICATE-----\n"
    with tempfile.NamedTemporaryFile("w", prefix="certificate-", suffix=".pem", delete=False) as file:
        file.write(all_of_them[: all_of_them.index(end)] + end)
    return file.name


if "TESTING_CREWAI_MEMORY" not in os.environ:  # else a process that a test has started, with what that chose
    os.environ["TESTING_CREWAI_MEMORY"] = "true"
    # A developer's own settings must not decide what the tests see, and no key may make a test call out.
    for _name in list(os.environ):
        if _name.startswith(("CREWAI_MEMORY_", "MEM0_", "OPENAI_")) or _name in ("QDRANT_URL", "QDRANT_API_KEY"):
            del os.environ[_name]
    # Mem0 keeps a file of settings in it from the moment it is imported, CrewAI its Chroma.
    os.environ["MEM0_DIR"] = tempfile.mkdtemp(prefix="mem0-")
    os.environ["CREWAI_STORAGE_DIR"] = tempfile.mkdtemp(prefix="crewai-")
    os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"
    os.environ["CREWAI_TRACING_ENABLED"] = "false"
    os.environ["CREWAI_TESTING"] = "true"
    if not GIVEN:
        # Each HTTP client reads all certificates of the world, which takes 25 ms; tests make thousands of clients, and
        # reach nothing that has such a certificate. They read one.
        os.environ["SSL_CERT_FILE"] = one_certificate()

CREWAI_FOLDER = Path(os.environ["CREWAI_STORAGE_DIR"])
"""What CrewAI took for its folder when it was imported."""
