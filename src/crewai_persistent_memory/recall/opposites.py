"""Words of which a thing has one at a time ("free", "occupied"), words that deny another one ("unsafe"), and times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_STATES: Final = """
    free vacant available occupied taken busy booked reserved engaged sold
    free paid chargeable
    open opened closed shut blocked clear
    open pending unresolved resolved solved done completed
    offen erledigt gelöst
    abierto abierta resuelto resuelta
    ouvert ouverte résolu résolue
    on off
    up down running crashed
    full empty
    alive living dead deceased
    healthy well fit ill sick unwell recovered
    working works broken defective faulty damaged repaired fixed intact
    single married divorced widowed engaged separated
    employed jobless retired
    fresh stale sour rotten mouldy
    here present home away absent out gone
    awake asleep
    clean dirty
    wet dry
    hot warm cold cool
    true false
    right wrong
    left right
    correct wrong
    permitted allowed forbidden prohibited banned
    mandatory required compulsory optional voluntary
    public private secret
    permanent temporary
    passed failed
    won lost
    accepted approved rejected declined refused denied pending
    safe dangerous
    active paused stopped suspended frozen deactivated
    open overdue outstanding paid settled
    enabled disabled
    visible hidden
    online offline
    cheap expensive
    big large small
    easy difficult hard
    fast slow
    full-time part-time
    remote onsite on-site hybrid
    early late punctual
    started ended finished over
    better worse
    red green blue yellow orange black white grey gray brown pink purple silver golden
    rot rote grün grüne blau blaue gelb gelbe schwarz schwarze weiß weiße grau graue braun braune
    rouge vert verte bleu bleue jaune noir noire blanc blanche gris grise
    rojo roja verde azul amarillo amarilla negro negra blanco blanca gris
    rising falling
    frei verfügbar belegt besetzt vergeben reserviert gebucht
    offen geöffnet auf geschlossen zu gesperrt
    an aus
    voll leer
    gesund krank
    ledig verheiratet geschieden verwitwet verlobt
    angestellt arbeitslos
    kaputt defekt repariert intakt heil
    da hier anwesend weg abwesend
    sauber schmutzig
    nass trocken
    heiß warm kalt
    erlaubt verboten
    öffentlich privat
    sicher gefährlich
    billig günstig teuer
    gültig abgelaufen
    lebendig tot
    libre disponible occupé occupée pris prise réservé réservée
    ouvert ouverte fermé fermée
    allumé allumée éteint éteinte
    plein pleine vide
    vivant vivante mort morte
    célibataire marié mariée divorcé divorcée
    cassé cassée réparé réparée
    propre sale
    permis autorisé interdit
    présent présente absent absente
    libre disponible ocupado ocupada reservado reservada
    abierto abierta cerrado cerrada
    encendido encendida apagado apagada
    lleno llena vacío vacía
    vivo viva muerto muerta
    sano sana enfermo enferma
    soltero soltera casado casada divorciado divorciada
    roto rota reparado reparada
    limpio limpia sucio sucia
    permitido prohibido
    presente ausente
    libero libera occupato occupata
    aperto aperta chiuso chiusa
    livre ocupado ocupada
    aberto aberta fechado fechada
    vrij bezet
    open gesloten dicht
    wolny wolna wolne zajęty zajęta zajęte
    otwarty otwarta otwarte zamknięty zamknięta zamknięte
    ledig ledigt upptagen upptaget
    öppen öppet stängd stängt
    åben åbent lukket
    свободен свободна свободно занят занята занято
    открыт открыта открыто закрыт закрыта закрыто
"""

PREFIXES: Final = (
    *("un", "in", "im", "il", "ir", "dis", "non-", "non", "dés", "des", "mé", "mal", "nie", "ne", "u", "o"),
)
_LEAST: Final = 3
_LEAST_OF_ONE: Final = 4
"""Letters of the word behind a prefix; of one behind a prefix of a single letter: "osäker", "usikker"."""

_TIMES: Final = """
    monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays
    sundays weekend weekends weekdays morning mornings noon afternoon afternoons evening evenings night nights midnight
    breakfast lunch dinner spring summer autumn winter
    january february march april may june july august september october november december
    montag dienstag mittwoch donnerstag freitag samstag sonntag montags dienstags mittwochs donnerstags freitags
    samstags sonntags wochenende morgens mittags nachmittags abends nachts morgen mittag nachmittag abend nacht
    frühling sommer herbst winter januar februar märz mai juni juli oktober dezember
    lundi mardi mercredi jeudi vendredi samedi dimanche matin midi après-midi soir nuit printemps été automne hiver
    janvier février avril juin juillet août septembre octobre novembre décembre
    lunes martes miércoles jueves viernes sábado domingo sábados domingos mañana tarde noche primavera verano otoño
    invierno enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
"""
TIMES: Final = frozenset(_TIMES.split())
"""Times that come again: what holds on one of them need not hold on another."""

BE: Final = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "has",
        "have",
        "ist",
        "sind",
        "war",
        "hat",
        "wird",
        "est",
        "sont",
        "es",
        "está",
        "están",
    ]
)
"""Verbs between a thing and its state."""

_EVENTS: Final = """
    born founded invented discovered geboren gegründet erfunden né née fondé fondée nació fundada
"""
EVENTS: Final = frozenset(_EVENTS.split())
"""Words for what happens once. Nothing else that is said later changes it."""

WHERE: Final = frozenset(["where", "wo", "où", "dónde"])
"""Words that ask for a place."""

UNTIL: Final = frozenset(["until", "till", "this", "bis", "jusqu", "jusqu'à", "hasta"])
"""Words before a time that comes once."""


def _by_word() -> dict[str, frozenset[int]]:
    states: dict[str, set[int]] = {}
    for number, line in enumerate(_STATES.split("\n")):
        for word in line.split():
            states.setdefault(word, set()).add(number)
    return {word: frozenset(numbers) for word, numbers in states.items()}


STATES: Final = _by_word()
"""For each word the numbers of the lists above that it is in."""


def denied_by(word: str) -> Iterator[str]:
    """What a word denies, if it is one that denies: "safe" of "unsafe"."""
    for prefix in PREFIXES:
        if word.startswith(prefix):
            base = word[len(prefix) :]
            if len(base) >= (_LEAST if len(prefix) > 1 else _LEAST_OF_ONE):
                yield base
