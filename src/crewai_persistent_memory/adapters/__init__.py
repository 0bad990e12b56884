"""CrewAI's side: one module per generation of its memory API. None knows a store's inside."""

import os

# Nothing leaves a self-hosted set-up: CrewAI's telemetry is off unless the environment says something about it.
# Here, because it must be set before crewai is imported: it reports its installation while it is imported.
os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")

from . import saved_tasks
from .generation import installed
from .threads import carry_context

# Here, so that whichever adapter is asked for, a CrewAI this package does not know gives one sentence, and the scope
# follows into the threads of one it knows, and each task is known while it is saved.
installed()
carry_context()
saved_tasks.install()
