"""What the assertions have in common when they judge: failed requests, a crew without memory, nothing recalled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from .processes import Worker
from .run_options import Run

NOT_ASKED: Final = (
    "The crew has answered without its LLM, so nothing can be seen in a prompt: does it have a task with an agent, and "
    "does the agent have the LLM that the factory was given (llm)?"
)


def remembered_at(worker: Worker, user: str) -> dict[str, Any]:
    """Build the crew, and return its memory's description.

    Raises:
        AssertionError: it has no memory that can be checked.
    """
    about: dict[str, Any] = worker.do("build", "build the crew", user=user)
    if about["problem"] is not None:
        raise AssertionError(f"The crew remembers nothing that can be checked: {about['problem']}")
    return about


def failures(answers: Iterable[dict[str, Any]], where: str) -> None:
    """Raise for the first request that failed.

    Raises:
        AssertionError: what failed, whose request it was, and what to do.
    """
    for answer in answers:
        if "error" in answer:
            remedy = REMEDIES.get(answer["kind"], "")
            raise AssertionError(f"The crew failed for user {answer['user']!r} {where}: {answer['error']}{remedy}")


REMEDIES: Final = {
    "MissingScopeError": (
        "\nThe crew was started without a user. Take none in the factory, and the test starts it in "
        "use_scope(user_id=...); or take user_id and give it to the memory: PersistentMemory(user_id=user_id)"
    ),
    "ScopeConflictError": (
        "\nThe memory is fixed to a user of its own, so all users of the crew would share one memory, or each request "
        "would have another one. Leave user_id out of PersistentMemory(...), and name the user of each request with "
        "use_scope(user_id=...); or let the factory take user_id and pass it on unchanged"
    ),
    "CrewInUseError": (
        "\nTwo requests have used one crew, agent or task at the same time. Build them for each request, or use "
        "crew.copy()"
    ),
    "StoreInUseError": (
        "\nAn embedded store (path=) is open in one process at a time. For several workers run a Qdrant server, and "
        "give its url="
    ),
}


def nothing_recalled(
    run: Run,
    secret: str,
    stored_as: Sequence[str],
    asked_as: Sequence[str],
    found: dict[str, Any],
    owners: Sequence[tuple[str, Sequence[str]]],
) -> str:
    """Why a user's own secret was not recalled."""
    if any(secret in text for text in found["listed"]):
        return (
            f"It is stored, and was not found by {run.asked!r}. Without an embedder a question needs a word of the "
            "memory: give told= and asked= in the words of your crew, or the memory an embedder (FakeEmbedder). Is the "
            "memory's recall_budget or min_score too strict?"
        )
    others = [scope for scope, canaries in owners if secret in canaries]
    if others or list(stored_as) != list(asked_as):
        kept, looked = (others or stored_as), asked_as
        return (
            f"It was stored for {'; '.join(kept)}, and looked for as {'; '.join(looked)}: the scope changes from call "
            "to call. Take user_id (and run_id) from the request, never from uuid4() or a session that ends"
        )
    return (
        "It was not stored at all. Is the memory read-only, is a guardrail refusing the answers, or did saving fail "
        "(log crewai_persistent_memory)? PersistentMemory(on_error='raise') makes a crew fail when its memory does"
    )
