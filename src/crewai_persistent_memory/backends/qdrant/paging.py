"""Pages of entries by time of creation, the same for every offset, limit and engine."""

from __future__ import annotations

from datetime import timedelta

from ...io.steps import Steps
from .collection import Collection
from .engine_requests import Between, Everything, Hit, Ordered, Retrieve, Where
from .schema import parse_time


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
    times = [hit.payload["created_at"] for hit in page]
    if len(page) > wanted and times[wanted] == times[wanted - 1]:
        # The engine orders equal times as it likes, so a page that ends among them is completed.
        moment = parse_time(times[wanted])
        tied = Between("created_at", moment, moment + timedelta(microseconds=1))
        page = [hit for hit in page if hit.payload["created_at"] != times[wanted]]
        page += yield from collection.ask(Everything((*where, tied), whole))
    page.sort(key=lambda hit: str(hit.id))
    page.sort(key=lambda hit: str(hit.payload["created_at"]), reverse=newest_first)
    page = page[offset:wanted]
    if whole or not page:
        return page
    found = {str(hit.id): hit for hit in (yield from collection.ask(Retrieve([str(hit.id) for hit in page])))}
    return [found[str(hit.id)] for hit in page if str(hit.id) in found]
