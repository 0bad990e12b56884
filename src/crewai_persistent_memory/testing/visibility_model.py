"""The visibility rule as a model that knows nothing of a store, and operations of many scopes to compare both by.

Scopes, ids, paths and filters are such that each is near another one: stolen ids, users that begin alike, paths that
are no prefixes.
"""

from __future__ import annotations

import itertools
from random import Random
from typing import Any, Final, TypedDict

from ..entry import MemoryEntry
from ..errors import EntryNotFoundError
from ..scope import Scope, ScopeBinding
from ..store.base import MemoryStore

USERS: Final = ["john", "jane", "john/x", "j", None]
SCOPES: Final = [
    Scope.trusted(user, project, run, agent, org)
    for user, project, run, agent, org in itertools.product(
        USERS, ["prod", "prod2"], [None, "r1", "r2"], [None, "chef"], [None, "acme"]
    )
]
IDS: Final = ["a", "b", "c", "john:a", "' OR 1=1 --"]
PATHS: Final = ["/", "/u/1", "/u/10", "/u/1/x", "/u"]
WORDS: Final = ["tea", "nuts", "spain", "france"]
CATEGORIES: Final = ["x", "y"]
KINDS: Final = ["add"] * 8 + ["update", "replace", "delete", "reset", "touch"] + ["read"] * 2
FILTERS: Final = ["path", "categories", "metadata", "ids"]


class ModelOperation(TypedDict):
    """One operation: what, in which scope, and about which of the few values that there are."""

    what: str
    scope: Scope
    include_shared: bool
    id: str
    path: str
    word: str
    category: str
    filter: set[str]


def random_operation(random: Random) -> ModelOperation:
    return {
        "what": random.choice(KINDS),
        "scope": random.choice(SCOPES),
        "include_shared": random.random() < 0.5,
        "id": random.choice(IDS),
        "path": random.choice(PATHS),
        "word": random.choice(WORDS),
        "category": random.choice(CATEGORIES),
        "filter": {name for name in FILTERS if random.random() < 0.5},
    }


def rule(owner: Scope, reader: Scope, include_shared: bool) -> bool:
    """The visibility rule, written down a second time from the design, so as not to test it against itself."""
    if (owner.org_id, owner.project_id) != (reader.org_id, reader.project_id):
        return False
    if owner.user_id != reader.user_id and not (include_shared and owner.user_id is None):
        return False
    return all(
        theirs is None or theirs == mine
        for theirs, mine in [(owner.run_id, reader.run_id), (owner.agent_id, reader.agent_id)]
    )


Key = tuple[Scope, str]


class VisibilityModel:
    """What every scope stored: ``{(owner, id): fields}``."""

    def __init__(self) -> None:
        self.entries: dict[Key, dict[str, Any]] = {}

    def visible(self, reader: Scope, include_shared: bool, wanted: dict[str, Any]) -> set[Key]:
        return {
            key
            for key, entry in self.entries.items()
            if rule(key[0], reader, include_shared) and self.matches(key[1], entry, wanted)
        }

    @staticmethod
    def matches(id: str, entry: dict[str, Any], wanted: dict[str, Any]) -> bool:
        prefix = wanted.get("path", "/")
        return (
            (prefix == "/" or entry["path"] == prefix or entry["path"].startswith(prefix + "/"))
            and ("categories" not in wanted or bool(set(wanted["categories"]) & set(entry["categories"])))
            and ("metadata" not in wanted or entry["metadata"] == wanted["metadata"])
            and ("ids" not in wanted or id in wanted["ids"])
        )

    def specific(self, reader: Scope, id: str) -> Key | None:
        """The entry that an id means to a reader: the one whose run and agent are the most specific."""
        found = self.visible(reader, False, {"ids": [id]})
        return max(found, key=lambda key: (key[0].run_id is not None, key[0].agent_id is not None), default=None)


def handle(store: MemoryStore, scope: Scope, include_shared: bool) -> MemoryStore:
    return MemoryStore(store.backend, ScopeBinding.of(scope), include_shared=include_shared, owns_backend=False)


def _same(found: Any, expected: Any, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found!r}, where it is {expected!r}")


def keys(entries: list[MemoryEntry]) -> set[tuple[Scope | None, str]]:
    return {(entry.scope, entry.id) for entry in entries}


def apply(store: MemoryStore, model: VisibilityModel, op: ModelOperation) -> None:
    """Do an operation in the store and in the model.

    Raises:
        AssertionError: the store did something else.
    """
    scope, id = op["scope"], op["id"]
    view = handle(store, scope, op["include_shared"])
    fields: dict[str, Any] = {
        "path": op["path"],
        "categories": (op["category"],),
        "metadata": {"w": op["word"]},
    }
    wanted = _wanted(op)
    content = f"{op['word']} of {scope}"
    if op["what"] == "add":
        view.add(content, id=id, **fields)
        model.entries[scope, id] = {**fields, "content": content}
    elif op["what"] in ("update", "replace"):
        key = model.specific(scope, id)
        if op["what"] == "update":
            try:
                view.update(id, content=content, **fields)
            except EntryNotFoundError:
                _same(None, key, f"{scope} could not update its own {id!r}")
            else:
                _same(key is not None, True, f"{scope} updated {id!r}, which is not there for it")
        else:
            view.replace(MemoryEntry(id=id, content=content, **fields))
            key = key or (scope, id)
        if key is not None:
            model.entries[key] = {**fields, "content": content}
    elif op["what"] in ("delete", "reset"):
        deleted = {"path": op["path"]} if op["what"] == "reset" else wanted or {"ids": [id]}
        gone = model.visible(scope, False, deleted)
        count = view.reset(op["path"]) if op["what"] == "reset" else view.delete(**deleted)
        _same(count, len(gone), f"how many {scope} deleted by {deleted}")
        for key in gone:
            del model.entries[key]
    elif op["what"] == "touch":
        view.touch([id])
    else:
        check_reads(view, model, op, wanted)


def _wanted(op: ModelOperation) -> dict[str, Any]:
    values = {
        "path": op["path"],
        "categories": [op["category"]],
        "metadata": {"w": op["word"]},
        "ids": [op["id"]],
    }
    return {name: values[name] for name in op["filter"]}


def check_reads(view: MemoryStore, model: VisibilityModel, op: ModelOperation, wanted: dict[str, Any]) -> None:
    """Compare every way of reading.

    Raises:
        AssertionError: one of them gives something else than the model.
    """
    scope, shared, id = op["scope"], op["include_shared"], op["id"]
    told = f"by {scope}{' with shared entries' if shared else ''}, filtered by {wanted}"
    expected = model.visible(scope, shared, wanted)
    listed = view.list(limit=10_000, **wanted)
    _same(keys(listed), expected, f"listed {told}")
    contents = {model.entries[key]["content"] for key in expected}
    _same({entry.content for entry in listed}, contents, f"contents listed {told}")
    _same(view.count(**wanted), len(expected), f"counted {told}")
    scanned = list(view.scan(**wanted))
    _same((len(scanned), keys(scanned)), (len(expected), expected), f"scanned {told}")
    half = max(1, len(listed) // 2)
    page = view.page(limit=half, **wanted)
    rest = () if page.cursor is None else view.page(cursor=page.cursor, limit=10_000, **wanted).entries
    _same([page.entries, rest], [tuple(listed[:half]), tuple(listed[half:])], f"pages {told}")
    with_word = {key for key in expected if model.entries[key]["content"].startswith(op["word"])}
    _same(with_word - keys(view.search(op["word"], limit=10_000, **wanted)), set(), f"not found {told}: {op['word']!r}")
    found_more = keys(view.search(" ".join(WORDS), limit=10_000, **wanted)) - expected
    _same(found_more, set(), f"found {told}, and not visible")
    found = view.get(id)
    ids = model.visible(scope, shared, {"ids": [id]})
    _same(found is None, not ids, f"get({id!r}) {told} found nothing")
    if found is not None:
        _same((found.scope, found.id) in ids, True, f"get({id!r}) {told} found one that is visible")
    inside = [model.entries[key] for key in model.visible(scope, shared, {"path": op["path"]})]
    categories = sum(len(entry["categories"]) for entry in inside)
    _same(sum(view.categories(op["path"]).values()), categories, f"categories counted {told}")
    _same(view.info(op["path"]).count, len(inside), f"info({op['path']!r}) {told}")
    prefix = op["path"].rstrip("/") + "/"
    below = {entry["path"][len(prefix) :].split("/")[0] for entry in inside if entry["path"].startswith(prefix)}
    _same(set(view.children(op["path"])), {prefix + child for child in below - {""}}, f"children {told}")
