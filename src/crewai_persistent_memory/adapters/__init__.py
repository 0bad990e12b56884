"""The adapters to CrewAI, for each generation of its memory API. They use the public interface of a store only."""

import os

# A self-hosted set-up must send no data out, so CrewAI's telemetry is off unless the environment sets the variable.
# It is set here, before crewai is imported, because CrewAI reports its installation during the import.
os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")

from .version import installed, is_unified


def _install() -> None:
    """Wrap the methods of CrewAI that would mix the memories of different owners. Idempotent."""
    # An unsupported CrewAI gives one clear error, before any of its classes is changed.
    installed()
    from . import (
        clean_copies,
        context_propagation,
        crewai_traces,
        finished_task_hooks,
        guardrails,
        memory_tools,
        prompt_building,
        run_guard,
        stream_scope,
    )

    crewai_traces.install()
    context_propagation.carry_context()
    finished_task_hooks.install()
    guardrails.install()
    memory_tools.install()
    prompt_building.install()
    stream_scope.install()
    run_guard.install()
    clean_copies.install()
    if is_unified():
        # Restoring a crew requires this import. Without it, the text of the spec tells the user to import this package.
        from .unified import memory_substitution

        memory_substitution.install()


_install()
