"""Sets of the project's own, made from templates: the same texts in every run."""

from __future__ import annotations

from ..cases import Cases
from . import changes, documents, languages, reworded, tasks


def own_sets() -> list[Cases]:
    return [reworded.cases(), tasks.cases(), documents.cases(), languages.cases(), *changes.cases()]
