"""Lets one thread at a time prepare a class of flows.

CrewAI (seen in 1.15) builds the definition of a flow class when the class is first used, and keeps it in the class. It
goes through the attributes of the class meanwhile. Two threads that did this at once ended with ``RuntimeError:
dictionary changed size during iteration``. Every executor of an agent is a flow, so this hit the first requests of a
service whose workers have several threads.
"""

from __future__ import annotations

import threading
from typing import Any

_lock = threading.RLock()


def install(flow: type) -> None:
    """Guard ``flow``, the base class of every flow. Idempotent. Older CrewAI has no such definition."""
    method = vars(flow).get("flow_definition")
    if not isinstance(method, classmethod) or hasattr(method.__func__, "__locked__"):
        return
    build = method.__func__

    def flow_definition(cls: type) -> Any:
        definition = vars(cls).get("_flow_definition")
        if definition is not None:
            return definition
        with _lock:
            return build(cls)

    flow_definition.__doc__ = build.__doc__
    flow_definition.__locked__ = True  # type: ignore[attr-defined]
    type.__setattr__(flow, "flow_definition", classmethod(flow_definition))
