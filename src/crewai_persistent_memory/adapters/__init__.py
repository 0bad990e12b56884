"""CrewAI's side: one module per generation of its memory API. None knows a store's inside."""

import os

# Nothing leaves a self-hosted set-up: CrewAI's telemetry is off unless the environment says something about it.
# Here, because it must be set before crewai is imported: it reports its installation while it is imported.
os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")

from .generation import installed


def _install() -> None:
    """Make what this CrewAI does fit for memories that belong to somebody. Idempotent."""
    # A CrewAI this package does not know gives one sentence, before anything of it is touched.
    installed()
    from . import accepted_answers, clean_copies, memory_tools, run_guard, saved_tasks, streams, threads, tracing

    tracing.install()
    threads.carry_context()
    saved_tasks.install()
    accepted_answers.install()
    memory_tools.install()
    streams.install()
    run_guard.install()
    clean_copies.install()


_install()
