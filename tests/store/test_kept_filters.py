"""Filters that are translated once are few and small: a process lives for weeks."""

from __future__ import annotations

from crewai_persistent_memory.backends.qdrant.embedded import translate
from crewai_persistent_memory.backends.qdrant.engine_requests import InScopes, Lacks, Match, Where

SCOPE = InScopes(("scope",), ())


def is_kept(where: Where) -> bool:
    """Whether a filter is the same object the second time."""
    return translate.edge_filter(where) is translate.edge_filter(where)


def test_filters_of_a_scope_and_of_few_values_are_kept() -> None:
    assert is_kept((SCOPE,))
    assert is_kept((SCOPE, Match("categories", ("drinks", "food")), Lacks("fields", "due")))


def test_a_filter_of_many_values_is_not_kept() -> None:
    """A deletion names the 256 points whose words it takes out of others. Thousands of deletions took 300 MB."""
    of_points = Match("context", tuple(map(str, range(256))))
    matches = translate._kept_match.cache_info().currsize
    assert not is_kept((SCOPE, of_points))
    assert not is_kept((of_points,))
    assert translate._kept_match.cache_info().currsize <= matches + 1  # of the scope


def test_filters_that_differ_are_told_apart() -> None:
    texts, numbers = Match("n", ("1",)), Match("n", (1,))
    wheres: list[Where] = [
        (texts,),
        (numbers,),
        (Match("n", ("1",), or_missing=True),),
        (Match("n", ()),),
        (Lacks("n", "1"),),
        (SCOPE, texts),
        (SCOPE, numbers),
        (InScopes(("other",), ()), texts),
        (InScopes(("scope", "other"), ()), texts),
    ]
    translated = [translate.edge_filter(where) for where in wheres]
    assert len(set(map(id, translated))) == len(wheres)
    assert len(set(map(repr, translated))) == len(wheres)
