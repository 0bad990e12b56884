"""``assert_survives_restart``: what one process remembers, the next one recalls."""

from __future__ import annotations

from typing import Any

from typing_extensions import Unpack

from .canaries import Canaries
from .evidence import NOT_ASKED, failures, nothing_recalled, remembered_at
from .factories import CrewFactory
from .run_options import Run, RunOptions, checked_user, running


def assert_survives_restart(
    crew_factory: CrewFactory | str, *, user_id: str | None = None, kill: bool = False, **options: Unpack[RunOptions]
) -> None:
    """Assert that a crew's memory survives the end of its process.

    A user tells a crew something in one process. When it has ended, a second process builds the crew anew, and the user
    asks. What was told must be in the prompt that the LLM gets there, and in what ``recall`` returns.

    Args:
        crew_factory: a function of a module that builds a crew, or its name, ``"app:build_crew"``. It may take ``llm``,
            ``memory`` and ``user_id``, see :mod:`.factories`.
        user_id: the user. Left out: a new one.
        kill: end the first process as ``kill -9`` does, once the crew has answered.
        options: see :class:`.RunOptions`.

    Raises:
        AssertionError: it does not survive, or a crew fails; the message says what is wrong and what to do.
        ConfigurationError: an argument is wrong: the factory is a lambda, for example.
    """
    user = checked_user(user_id)
    with running(crew_factory, options) as run:
        _survives(run, user, kill=kill)


def _survives(run: Run, user: str, *, kill: bool) -> None:
    canaries = Canaries.of([user])
    told, asked = canaries.tell(user, run.told), canaries.ask(user, run.asked)
    with run.worker("the first process") as first:
        before = remembered_at(first, user)
        with run.cleaning_up(first, user, if_it_fails=True):
            answers = first.do("serve", "run the crew", requests=[(user, told)], way="in turn", lifetime="one")
            failures(answers, "in the first process")
            if not first.do("prompts", "show its prompts"):
                raise AssertionError(NOT_ASKED)
            first.do("flush", "wait for the store", user=user)
        if kill:
            first.kill()
        else:
            first.end()
    with run.worker("the second process") as second:
        after = remembered_at(second, user)
        with run.cleaning_up(second, user):
            answers = second.do("serve", "run the crew", requests=[(user, asked)], way="in turn", lifetime="one")
            failures(answers, "in the second process, after the restart")
            prompts = second.do("prompts", "show its prompts")
            found = second.do("look", "recall", user=user, question=run.asked)
            owners = second.do("owners", "list the store", user=user)
        second.end()
    secret = canaries.secret[user]
    in_prompt = any(secret in prompt for prompt in prompts)
    in_recall = any(secret in text for text in found["recalled"])
    if not (in_prompt and in_recall):
        raise AssertionError(_why(run, secret, before, after, found, owners, prompt=in_prompt, recall=in_recall))


def _why(
    run: Run,
    secret: str,
    before: dict[str, Any],
    after: dict[str, Any],
    found: dict[str, Any],
    owners: list[tuple[str, list[str]]],
    *,
    prompt: bool,
    recall: bool,
) -> str:
    lost = [name for name, is_there in (("the prompt of its LLM", prompt), ("recall", recall)) if not is_there]
    what = f"What the crew was told in the first process is not in {' nor in '.join(lost)} in the second one. "
    if before["places"] != after["places"]:
        return (
            f"{what}The first process kept it in {', '.join(before['places'])}, the second one looked in "
            f"{', '.join(after['places'])}: give both the same path= or url="
        )
    return what + nothing_recalled(run, secret, before["scopes"], after["scopes"], found, owners)
