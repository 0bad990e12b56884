"""Pages of entries by time of creation, the same for every offset, cursor, limit and engine."""

from __future__ import annotations

from ...io.steps import Steps
from ...store.cursors import Position
from .collection import Collection
from .engine_requests import Between, Everything, Hit, Ordered, Retrieve, Scroll, Where
from .schema import created_at, parse_time


def page_of(
    collection: Collection, where: Where, limit: int, offset: int = 0, *, newest_first: bool = True
) -> Steps[list[Hit]]:
    """Matching points in order of creation, equal times by point id.

    One request, and a second one only for a page that starts later or ends among equal times.
    """
    if limit <= 0:
        return []
    wanted = offset + limit
    # No engine can start an ordered page later than at the first: for later ones the times are read up to there.
    whole = offset == 0
    page = yield from collection.ask(Ordered(where, wanted + 1, newest_first, whole))
    times = list(map(_time_of, page))
    if len(page) > wanted and times[wanted] == times[wanted - 1]:
        # The engine orders equal times as it likes, so a page that ends among them is completed.
        page = [hit for hit in page if _time_of(hit) != times[wanted]]
        page += yield from collection.ask(Everything((*where, created_at(parse_time(times[wanted]))), whole))
    page = _in_order(page, newest_first)[offset:wanted]
    if whole or not page:
        return page
    found = {str(hit.id): hit for hit in (yield from collection.ask(Retrieve([str(hit.id) for hit in page])))}
    return [found[str(hit.id)] for hit in page if str(hit.id) in found]


def page_from(
    collection: Collection, where: Where, limit: int, start: Position | None
) -> Steps[tuple[list[Hit], Position | None]]:
    """Matching points from a position on, newest first, equal times by point id; and the position after them.

    At most three requests, each for no more than a page: the rest of the entries whose time is that of the position,
    entries before that time, and, if the page ends among equal times, those by point id.
    """
    page: list[Hit] = []
    if start is not None:
        if start.id is not None:
            page, next_id = yield from _scrolled(collection, (*where, created_at(start.created_at)), limit, start.id)
            if next_id is not None:
                return page, Position(start.created_at, next_id)
        where = (*where, Between("created_at", None, start.created_at))
    room = limit - len(page)
    # One more than there is room for, to know what comes after the page.
    found = _in_order((yield from collection.ask(Ordered(where, room + 1, newest_first=True, whole=True))), True)
    if len(found) <= room:
        return page + found, None
    last = found[room - 1] if room else page[-1]
    last_time, next_time = parse_time(_time_of(last)), parse_time(_time_of(found[room]))
    if last_time != next_time:
        return page + found[:room], Position(last_time, None)
    # The engine orders equal times as it likes: here they are taken by point id.
    page += [hit for hit in found if _time_of(hit) != _time_of(last)]
    tied, next_id = yield from _scrolled(collection, (*where, created_at(last_time)), limit - len(page), None)
    return page + tied, Position(last_time, next_id)


def _scrolled(
    collection: Collection, where: Where, limit: int, start: str | None
) -> Steps[tuple[list[Hit], str | None]]:
    """The first ``limit`` points from an id on, and the id after them. An engine may give fewer at once."""
    hits: list[Hit] = []
    while True:
        some, start = yield from collection.ask(Scroll(where, limit - len(hits), start))
        hits += some
        if start is None or len(hits) >= limit:
            return hits, start


def _in_order(hits: list[Hit], newest_first: bool) -> list[Hit]:
    times = [hit.payload["created_at"] for hit in hits]
    if len(set(times)) == len(times) and times == sorted(times, reverse=newest_first):
        return hits  # as an engine gives them, unless some are of one time: an id as text takes 1 µs
    return sorted(sorted(hits, key=lambda hit: str(hit.id)), key=_time_of, reverse=newest_first)


def _time_of(hit: Hit) -> str:
    return str(hit.payload["created_at"])
