"""The language of scopes, without a store."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from crewai_persistent_memory import InvalidScopeError, MissingScopeError, Scope, ScopeConflictError, use_scope
from crewai_persistent_memory.scope import ScopeBinding, visible


def test_the_project_has_a_default() -> None:
    assert Scope(user_id="john") == Scope(user_id="john", project_id="default")
    assert str(Scope(user_id="john", run_id="r")) == "user_id=john project_id=default run_id=r"
    assert pickle.loads(pickle.dumps(Scope("john"))) == Scope("john")


UNSEEN = [
    " ",
    "\t",
    "\n",
    "\r",
    "\x1c",
    "\x85",
    "\xa0",
    "\u2009",
    "\u2028",
    "\u3000",
    "\u200b",
    "\ufeff",
    "\u202e",
    "\xad",
]


@pytest.mark.parametrize("unseen", UNSEEN)
def test_two_ids_that_look_the_same_never_become_one(unseen: str) -> None:
    for user in (f"john{unseen}", f"{unseen}john"):
        with pytest.raises(InvalidScopeError, match=r"user_id.*(unseen|control) character"):
            Scope(user_id=user)
    assert Scope(user_id="john doe").user_id == "john doe"
    assert Scope(user_id="\u0646\u06cc\u200c\u06a9").user_id == "\u0646\u06cc\u200c\u06a9", "part of a name"


@pytest.mark.parametrize("field", ["user_id", "project_id", "run_id", "agent_id", "org_id"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "blank"),
        ("  \t", "blank"),
        ("x" * 256, "256 characters"),
        ("a\nb", "control character"),
        ("a\x00b", "control character"),
        ("\udc80", "control character"),
        (7, "must be text, got int"),
    ],
)
def test_bad_fields_are_named(field: str, value: object, message: str) -> None:
    fields = {"user_id": "john", field: value}
    with pytest.raises(InvalidScopeError, match=message) as caught:
        Scope(**fields)  # type: ignore[arg-type]
    assert field in str(caught.value)


def test_longest_and_unicode_fields() -> None:
    assert Scope(user_id="ü" * 255).user_id == "ü" * 255


def test_no_user_is_an_error_unless_asked_for_in_words() -> None:
    with pytest.raises(MissingScopeError, match=r"Scope\.shared"):
        Scope(user_id=None)
    assert Scope.shared(project_id="shop").is_shared
    with pytest.raises(InvalidScopeError, match="project_id is blank"):
        Scope.shared(project_id=" ")


def test_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Scope("john").user_id = "jane"  # type: ignore[misc]


class TestVisibility:
    john = Scope("john", "shop")

    @pytest.mark.parametrize(
        ("owner", "reader", "seen"),
        [
            (Scope("john", "shop"), Scope("john", "shop"), True),
            (Scope("jane", "shop"), Scope("john", "shop"), False),
            (Scope("john", "staging"), Scope("john", "shop"), False),
            (Scope("john", "shop", org_id="o"), Scope("john", "shop"), False),
            (Scope("john", "shop"), Scope("john", "shop", org_id="o"), False),
            (Scope("john", "shop", run_id="r"), Scope("john", "shop"), False),
            (Scope("john", "shop"), Scope("john", "shop", run_id="r"), True),
            (Scope("john", "shop", run_id="r"), Scope("john", "shop", run_id="r"), True),
            (Scope("john", "shop", run_id="r"), Scope("john", "shop", run_id="q"), False),
            (Scope("john", "shop", agent_id="a"), Scope("john", "shop"), False),
            (Scope("john", "shop"), Scope("john", "shop", agent_id="a"), True),
            (Scope("john", "shop", "r", "a"), Scope("john", "shop", "r", "b"), False),
            (Scope("john", "shop", "r", "a"), Scope("john", "shop", "r", "a"), True),
            (Scope.shared("shop"), Scope("john", "shop"), False),
            (Scope("john", "shop"), Scope.shared("shop"), False),
            (Scope.shared("shop"), Scope.shared("shop"), True),
        ],
    )
    def test_rule(self, owner: Scope, reader: Scope, seen: bool) -> None:
        assert visible(owner, reader) is seen

    def test_shared_is_seen_when_told_to_and_only_in_its_project(self) -> None:
        assert visible(Scope.shared("shop"), self.john, include_shared=True)
        assert not visible(Scope.shared("other"), self.john, include_shared=True)
        assert not visible(Scope.shared("shop", run_id="r"), self.john, include_shared=True)
        assert not visible(Scope("jane", "shop"), self.john, include_shared=True)


class TestUseScope:
    def test_nests(self) -> None:
        binding = ScopeBinding()
        with use_scope(user_id="john", project_id="shop"):
            with use_scope(run_id="r"):
                assert binding.resolve() == Scope("john", "shop", run_id="r")
                with use_scope(Scope.shared("other")):
                    assert binding.resolve() == Scope.shared("other", run_id="r")
            with use_scope(user_id="jane"):
                assert binding.resolve() == Scope("jane", "shop")
            assert binding.resolve() == Scope("john", "shop")
        with pytest.raises(MissingScopeError):
            binding.resolve()

    def test_is_undone_by_an_error(self) -> None:
        with pytest.raises(KeyError), use_scope(user_id="john"):
            raise KeyError
        with pytest.raises(MissingScopeError):
            ScopeBinding().resolve()

    def test_asyncio_tasks_do_not_mix(self) -> None:
        async def request(user: str) -> str | None:
            with use_scope(user_id=user):
                await asyncio.sleep(0)
                inner = await asyncio.create_task(self._resolve())
                assert inner == await asyncio.to_thread(ScopeBinding().resolve)
                return inner.user_id

        async def all_of_them() -> list[str | None]:
            return await asyncio.gather(*(request(f"u{i}") for i in range(50)))

        assert asyncio.run(all_of_them()) == [f"u{i}" for i in range(50)]

    @staticmethod
    async def _resolve() -> Scope:
        await asyncio.sleep(0)
        return ScopeBinding().resolve()

    def test_whole_scope_or_fields(self) -> None:
        with pytest.raises(ScopeConflictError, match="both given"), use_scope(Scope("john"), run_id="r"):
            pass
        with pytest.raises(InvalidScopeError, match="must be a Scope"), use_scope("john"):  # type: ignore[arg-type]
            pass


class TestBinding:
    def test_fixed_fields_win_and_contradictions_are_errors(self) -> None:
        fixed = ScopeBinding.of(user_id="john", project_id="shop")
        with use_scope(user_id="john", run_id="r"):
            assert fixed.resolve() == Scope("john", "shop", run_id="r")
        for other in ({"user_id": "jane"}, {"project_id": "staging"}):
            with use_scope(**other), pytest.raises(ScopeConflictError):
                fixed.resolve()
        with use_scope(Scope.shared("shop")), pytest.raises(ScopeConflictError, match="shared"):
            fixed.resolve()

    def test_a_teams_memory_stays_the_teams_whoever_asks(self) -> None:
        team = ScopeBinding.of(Scope.shared("shop"))
        with use_scope(user_id="john"):
            assert team.resolve() == Scope.shared("shop")
        with use_scope(user_id="john", project_id="staging"), pytest.raises(ScopeConflictError):
            team.resolve()

    def test_narrowing_never_widens(self) -> None:
        john = ScopeBinding.of(user_id="john")
        assert john.narrow(agent_id="chef").resolve() == Scope("john", agent_id="chef")
        with pytest.raises(ScopeConflictError):
            john.narrow(user_id="jane")
        with pytest.raises(ScopeConflictError):
            john.narrow(Scope.shared())
