"""Words by which two statements are told apart, besides those of relations and changes."""

from __future__ import annotations

from typing import Final

from .stems import stem


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARTICLES: Final = _words(
    "the a an der die das dem den ein eine einen einem einer le la les un une el los las una lo il o"
)
OURS: Final = _words("my our mein meine unser unsere mon ma mes notre nos mi mis")
"""Words for what belongs to the one whose memory it is."""

THEIRS: Final = _words("his her their its ihr ihre ihrem ihren ihrer sein seine seinem seinen seiner son sa ses su sus")
OWNERS: Final = (
    THEIRS
    | OURS
    | _words("your whose meinem meinen meiner unserem unseren dein deine ton ta tes tu tus")
    | _words("a an ein eine einen einem einer un une una uno")
)
"""Words before somebody who is named by another one: "her brother", "a brother"."""

WITH: Final = _words("with and to from by for mit und bei zu von avec et chez à con y")
"""Words before somebody's own people, who are no other subject: "lives with her brother"."""

OF: Final = _words("of de du des del della da do di von")
BY: Final = _words("by von par por")
PREPOSITIONS: Final = _words("of for in to from at on with by für von mit bei zu pour de à en para con a del")

OCCASIONS: Final = _words("at on in during for when over im am an während für wenn bei en le pendant pour quand si")
"""Words that begin what says when, or for whom, a statement holds: "on Christmas Eve"."""

ANYTHING: Final = _words("anything everything all any moment time future")
PEOPLE: Final = _words("users user customers people clients members")
"""Words for those who have to do with a thing: what is said of its users is said of it."""

KINDS: Final = _words(
    """
    project team ticket order customer client company group product service app system server room building hotel
    projekt kunde firma gruppe projet équipe proyecto equipo cliente
    """
)
"""Words before a name that say what it is the name of."""

USUAL: Final = _words(
    """
    final official current actual whole main own full total usual preferred favourite favorite daily weekly monthly
    annual yearly default regular general next latest first maximum minimum replacement updated revised
    """
)
"""Words before a thing that make no other thing of it."""

SAYS: Final = _words("says said is has was wants likes lives works plays")

PAST: Final = _words("was were had war waren hatte était fue")

SUPPORTS: Final = _words("accepts supports akzeptiert unterstützt accepte acepta admite")
"""Verbs that hold of many things at once, also of versions with a number."""

NO_UNITS: Final = _words("yesterday today tomorrow tonight now already instead again heute gestern jetzt hier hoy ayer")
"""Words that may stand behind a number and count nothing."""

MEASURES: Final = _words("tall long big large high wide deep old heavy far fast broad thick")

SPANS: Final = frozenset(
    map(stem, _words("second minute hour day week month year sekunden minuten stunden tage wochen monate jahre"))
)
"""The stems of units of time."""

MONEY: Final = frozenset(map(stem, _words("euro eur dollar usd pound gbp franc chf")))

OF_THE_DAY: Final = _words("morning mornings noon afternoon afternoons evening evenings night nights midnight")
MONTHS_AND_DAYS: Final = _words(
    "today tomorrow tonight week month year quarter jan feb mar apr jun jul aug sep sept oct nov dec"
)
TELLS_TIMES: Final = MONTHS_AND_DAYS | _words(
    """
    hourly daily weekly monthly quarterly yearly later earlier
    weeks months years quarters day days hour hours half noon midnight soon q1 q2 q3 q4
    heute morgen woche monat jahr tag stunde uhr demain semaine mois année an ans heure heures mañana semana mes año
    hora horas las
    """
)
QUANTITIES: Final = _words(
    """
    free first second third fourth fifth one no none once twice half dozen hundred thousand million double
    eins kein keine un une cien mille mil
    """
)
