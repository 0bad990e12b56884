"""CrewAI's side: one module per generation of its memory API. None knows a store's inside."""

import os

# Nothing leaves a self-hosted set-up: CrewAI's telemetry is off unless the environment says something about it.
# Here, because it must be set before crewai is imported: it reports its installation while it is imported.
os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")

from .version import installed, is_unified


def _install() -> None:
    """Make what this CrewAI does fit for memories that belong to somebody. Idempotent."""
    # A CrewAI this package does not know gives one sentence, before anything of it is touched.
    installed()
    from . import (
        clean_copies,
        context_propagation,
        crewai_traces,
        finished_task_hooks,
        guardrails,
        memory_tools,
        run_guard,
        stream_scope,
    )

    crewai_traces.install()
    context_propagation.carry_context()
    finished_task_hooks.install()
    guardrails.install()
    memory_tools.install()
    stream_scope.install()
    run_guard.install()
    clean_copies.install()
    if is_unified():
        # Whoever restores a crew has this package imported: a spec of ours says so where it is not.
        from .unified import memory_substitution

        memory_substitution.install()


_install()
