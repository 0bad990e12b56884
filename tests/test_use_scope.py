"""``use_scope`` around a ``yield``, on threads and in tasks: a block holds in its generator and what that starts, and
nowhere else."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest

from crewai_persistent_memory import InvalidScopeError, MissingScopeError, Scope, ScopeError, use_scope
from crewai_persistent_memory.scope import ScopeBinding, current_binding

NOBODY = None


def user() -> str | None:
    """Whose memory a call made here would reach."""
    try:
        return ScopeBinding().resolve().user_id
    except MissingScopeError:
        return NOBODY


async def auser() -> str | None:
    return user()


def chunks(user_id: str) -> Iterator[str | None]:
    with use_scope(user_id=user_id):
        for _ in range(3):
            yield user()


@contextmanager
def request_of(user_id: str) -> Iterator[None]:
    with use_scope(user_id=user_id):
        yield


class TestGenerators:
    def test_two_in_turn_do_not_mix(self) -> None:
        john, jane = chunks("john"), chunks("jane")
        assert [next(john), next(jane), next(john), next(jane)] == ["john", "jane", "john", "jane"]
        assert user() is NOBODY, "the consumer is in neither block"
        john.close()
        assert next(jane) == "jane"
        assert user() is NOBODY
        assert list(jane) == []
        assert user() is NOBODY

    def test_the_consumer_keeps_its_own_scope(self) -> None:
        with use_scope(user_id="admin"):
            for each in chunks("john"):
                assert (each, user()) == ("john", "admin")
            left = chunks("john")
            next(left)
            assert user() == "admin"
        with use_scope(user_id="jane"):
            assert next(left) == "john", "resumed inside another user's block"
            assert user() == "jane"
            left.close()
            assert user() == "jane"
        assert user() is NOBODY

    def test_one_that_is_left_unfinished_leaves_no_user_on_its_thread(self) -> None:
        left = chunks("john")
        with ThreadPoolExecutor(1) as worker:
            assert worker.submit(next, left).result() == "john"
            assert worker.submit(user).result() is NOBODY
            assert worker.submit(lambda: contextvars.copy_context().run(user)).result() is NOBODY

            def in_a_thread_of_its_own() -> str | None:
                with ThreadPoolExecutor(1) as child:
                    return child.submit(contextvars.copy_context().run, user).result()

            assert worker.submit(in_a_thread_of_its_own).result() is NOBODY

    def test_each_item_on_another_thread(self) -> None:
        """As Starlette iterates a synchronous generator: every item in a copy of the context, on any thread."""
        generator = chunks("john")
        with ThreadPoolExecutor(3) as pool:
            for _ in range(3):
                assert pool.submit(contextvars.copy_context().run, next, generator).result() == "john"
            assert pool.submit(contextvars.copy_context().run, next, generator, "end").result() == "end"

    def test_a_thread_that_it_waits_for_has_its_scope(self) -> None:
        def waiting() -> Iterator[str | None]:
            with use_scope(user_id="john"), ThreadPoolExecutor(1) as pool:
                yield pool.submit(contextvars.copy_context().run, user).result()

        assert list(waiting()) == ["john"]

    def test_context_managers_made_of_generators_hold_for_their_block(self) -> None:
        with request_of("john"):
            assert user() == "john"
            with request_of("jane"):
                assert user() == "jane"
            assert user() == "john"
        with ExitStack() as stack:
            stack.enter_context(request_of("john"))
            assert user() == "john"
        assert user() is NOBODY

    def test_context_managers_inside_generators_do_not_mix_either(self) -> None:
        def nested(user_id: str) -> Iterator[str | None]:
            with request_of(user_id):
                yield user()
                yield user()

        john, jane = nested("john"), nested("jane")
        assert [next(john), next(jane), next(john), next(jane)] == ["john", "jane", "john", "jane"]
        assert user() is NOBODY
        john.close()
        jane.close()

    def test_blocks_may_end_in_any_order(self) -> None:
        john, jane = chunks("john"), chunks("jane")
        next(john)
        next(jane)
        john.close()
        jane.close()
        assert user() is NOBODY
        with use_scope(user_id="mary"):
            assert user() == "mary"

    def test_the_error_names_the_remedy(self) -> None:
        left = chunks("john")
        next(left)
        with pytest.raises(ScopeError, match="use_scope around a yield"):
            ScopeBinding().resolve()


class TestWorkThatOutlivesItsBlock:
    def test_a_thread_and_a_task_keep_the_scope_they_were_started_in(self) -> None:
        async def request(ended: asyncio.Event) -> str | None:
            await ended.wait()
            return user()

        async def server() -> None:
            ended = asyncio.Event()
            with use_scope(user_id="john"):
                task = asyncio.create_task(request(ended))
                await asyncio.sleep(0)
            ended.set()
            assert await task == "john"
            assert user() is NOBODY

        asyncio.run(server())
        with use_scope(user_id="john"):
            context = contextvars.copy_context()
        assert context.run(user) == "john"
        assert user() is NOBODY
        with ThreadPoolExecutor(1) as worker:

            def handler() -> contextvars.Context:
                with use_scope(user_id="jane"):
                    return contextvars.copy_context()

            later = worker.submit(handler).result()
            assert worker.submit(later.run, user).result() == "jane", "on the same thread, after the block"
            assert worker.submit(user).result() is NOBODY


class TestAsynchronousGenerators:
    def test_two_in_turn_do_not_mix(self) -> None:
        async def achunks(user_id: str) -> AsyncIterator[list[str | None]]:
            with use_scope(user_id=user_id):
                yield list(await asyncio.gather(auser(), asyncio.create_task(auser()), asyncio.to_thread(user)))
                yield [user()]
                # A task has a copy of the context, which the other generator has set by now: nobody's, not hers.
                yield [await asyncio.create_task(auser())]

        async def both() -> None:
            john, jane = achunks("john"), achunks("jane")
            assert await john.__anext__() == ["john"] * 3
            assert await jane.__anext__() == ["jane"] * 3
            assert await john.__anext__() == ["john"]
            assert await john.__anext__() in (["john"], [NOBODY])
            assert user() is NOBODY
            assert await asyncio.create_task(auser()) is NOBODY, "the consumer's tasks are in neither block"
            assert await asyncio.to_thread(user) is NOBODY

        asyncio.run(both())

    def test_context_managers_hold_for_their_block_and_its_tasks(self) -> None:
        @asynccontextmanager
        async def arequest(user_id: str) -> AsyncIterator[None]:
            with use_scope(user_id=user_id):
                yield

        async def handler() -> None:
            async with arequest("john"):
                assert user() == "john"
                assert await asyncio.create_task(auser()) == "john"
                assert await asyncio.to_thread(user) == "john"
            assert user() is NOBODY

        asyncio.run(handler())

    def test_one_that_is_left_unfinished_leaves_no_user_in_its_task(self) -> None:
        async def achunks() -> AsyncIterator[None]:
            with use_scope(user_id="john"):
                yield
                yield

        async def worker() -> None:
            left = achunks()
            await left.__anext__()
            assert user() is NOBODY
            assert await asyncio.create_task(auser()) is NOBODY
            await left.aclose()

        asyncio.run(worker())


class TestAUserThatIsNotThere:
    """``None`` is what a look-up that failed returns."""

    def test_none_is_not_the_user_around(self) -> None:
        with use_scope(user_id="john"):
            with pytest.raises(MissingScopeError, match="user_id is None"), use_scope(user_id=None):  # type: ignore[arg-type]
                pass
            with pytest.raises(InvalidScopeError, match="user_id is blank"), use_scope(user_id=""):
                pass
            for name in ("project_id", "org_id"):
                nothing: dict[str, Any] = {name: None}
                with pytest.raises(InvalidScopeError, match=f"{name} is None"), use_scope(**nothing):
                    pass

    def test_no_run_and_no_agent_can_be_said(self) -> None:
        with use_scope(user_id="john", run_id="r", agent_id="a"), use_scope(run_id=None):
            assert ScopeBinding().resolve() == Scope("john", agent_id="a")
            with use_scope(agent_id=None):
                assert ScopeBinding().resolve() == Scope("john")

    def test_another_user_inherits_neither_run_nor_agent(self) -> None:
        with use_scope(user_id="john", project_id="shop", run_id="r", agent_id="a", org_id="o"):
            with use_scope(user_id="jane"):
                assert ScopeBinding().resolve() == Scope("jane", "shop", org_id="o")
            with use_scope(user_id="jane", run_id="s"):
                assert ScopeBinding().resolve() == Scope("jane", "shop", run_id="s", org_id="o")
            with use_scope(Scope("jane", "shop")):
                assert ScopeBinding().resolve() == Scope("jane", "shop", org_id="o")
            with use_scope(user_id="john"):
                assert ScopeBinding().resolve() == Scope("john", "shop", "r", "a", "o")


def test_is_a_decorator_too() -> None:
    @use_scope(user_id="john")
    def handler(depth: int) -> str | None:
        return handler(depth - 1) if depth else user()

    assert handler(3) == "john"
    assert user() is NOBODY


class TestDecorators:
    """What is awaited or iterated runs in its block, and not only the call that makes it."""

    def test_functions_that_are_awaited(self) -> None:
        @use_scope(user_id="john")
        async def handler() -> str | None:
            await asyncio.sleep(0)
            return user()

        async def server() -> None:
            with use_scope(user_id="jane"):
                assert await handler() == "john"
                assert user() == "jane"

        asyncio.run(server())

    def test_functions_that_are_iterated(self) -> None:
        @use_scope(user_id="john")
        def items() -> Iterator[str | None]:
            yield user()
            yield user()

        with use_scope(user_id="jane"):
            assert [(each, user()) for each in items()] == [("john", "jane")] * 2

        @use_scope(user_id="john")
        async def later() -> AsyncIterator[str | None]:
            yield user()
            yield user()

        async def consumer() -> list[Any]:
            with use_scope(user_id="jane"):
                return [(each, user()) async for each in later()]

        assert asyncio.run(consumer()) == [("john", "jane")] * 2


def test_a_whole_scope_that_is_not_there() -> None:
    nothing: Any = None
    with use_scope(user_id="john"), pytest.raises(MissingScopeError, match="scope is None"), use_scope(nothing):
        pass


def test_work_of_a_suspended_generator_never_has_its_consumers_user() -> None:
    """What it started may have a user, or none: never the one around the loop that iterates it."""

    def started() -> Iterator[Any]:
        with use_scope(user_id="john"):
            yield contextvars.copy_context()

    with use_scope(user_id="jane"):
        generator = started()
        assert next(generator).run(user) in ("john", NOBODY)
        assert user() == "jane"
        generator.close()


def test_one_block_object_of_several_tasks_and_generators() -> None:
    """``PRODUCTION = use_scope(project_id=...)`` of a module: each leaves the block that it has entered itself."""
    shared = use_scope(run_id="r")

    async def request(user: str, before: int, inside: int) -> list[tuple[str | None, str | None]]:
        seen = []
        with use_scope(user_id=user):
            for _ in range(before):
                await asyncio.sleep(0)
            with shared:
                for _ in range(inside):
                    await asyncio.sleep(0)
                    seen.append(_user_and_run())
            seen.append(_user_and_run())
        return seen

    async def at_once() -> list[list[tuple[str | None, str | None]]]:
        return await asyncio.gather(request("john", 0, 2), request("jane", 1, 4), request("jim", 0, 6))

    for user, inside, seen in zip(["john", "jane", "jim"], [2, 4, 6], asyncio.run(at_once()), strict=True):
        assert seen == [(user, "r")] * inside + [(user, None)]

    def items(user: str) -> Iterator[tuple[str | None, str | None]]:
        with use_scope(user_id=user):
            with shared:
                yield _user_and_run()
            yield _user_and_run()

    john, jane = items("john"), items("jane")
    assert [next(john), next(jane)] == [("john", "r"), ("jane", "r")]
    assert [next(john), next(jane)] == [("john", None), ("jane", None)]


def _user_and_run() -> tuple[str | None, str | None]:
    binding = current_binding.get()
    return (None, None) if binding is None else (binding.user_id, binding.run_id)
