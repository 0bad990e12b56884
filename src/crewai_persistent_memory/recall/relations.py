"""Which words of a statement tell its relation ("lives in", "costs"), and which tell that something has changed.

The lists are small on purpose. A relation that has no list is found by the words that two statements share.
"""

from __future__ import annotations

from typing import Final

_RELATIONS: Final = {
    "home": """live lives lived living reside resides resided residing resident move moves moved moving relocate
        relocates relocated relocating settle settled home house address apartment flat based base residence emigrated
        wohnt wohne wohnen wohnte lebt lebe leben lebte zieht ziehe zog gezogen umgezogen umzug adresse anschrift
        wohnort wohnung zuhause habite habiter vit déménagé réside adresse vive vivir reside mudó mudado muda emménagé
        emménage domicilio""",
    "work": """work works worked working job employ employed employer employs company hired hires joined joins join
        joining career profession occupation position works started working arbeitet arbeite arbeiten arbeitete
        arbeitgeber firma stelle beruf angestellt gekündigt travaille travailler emploi poste entreprise trabaja
        trabajar empleo empresa""",
    "chief": """manager manages managed boss report reports reporting supervisor supervises leads lead leader led head
        heads heading headed chef chefin vorgesetzte vorgesetzter leitet leiterin leiter berichtet
        jefe jefa""",
    "owner": """owner owns owned own responsible responsibility charge handle handles handling handled maintain
        maintains maintainer maintained assigned assignee took contact look looks looking verantwortlich
        zuständig übernimmt übernommen besitzer besitzerin ansprechpartner ansprechpartnerin betreut gehört""",
    "price": """price prices priced cost costs costing fee fees rate charge charges pay pays paying amount eur usd euro
        euros dollar dollars preis preise kostet kosten gebühr prix coûte tarif cuesta precio""",
    "date": """deadline due date when schedule scheduled rescheduled postponed delayed brought moved shifted
        pushed appointment start starts starting begin begins launch launches release
        released releases planned termin frist fällig verschoben verlegt vorgezogen abgabe beginnt findet statt
        stattfindet""",
    "phone": """phone number telephone mobile cell reach reached call called dial telefon telefonnummer nummer handy
        handynummer rufnummer erreichbar erreicht erreiche""",
    "mail": "email mail mails mailbox inbox address e-mail mailadresse",
    "liking": """favourite favorite prefer prefers preferred preference likes like liked best love loves loved
 wants want fond enjoys enjoy rather bevorzugt mag mögen lieber liebsten liebste lieblings""",
    "food": """vegetarian vegan eats eat eating diet meat pescatarian omnivore food isst essen vegetarier
        vegetarierin veganer veganerin fleisch ernährt""",
    "drink": "drinks drink drinking coffee tea trinkt trinken boit bebe",
    "state": """status state phase stage progress open closed done finished complete completed blocked approved
        rejected cancelled canceled active paused resolved broken fixed stand zustand offen geschlossen erledigt fertig
        abgeschlossen genehmigt abgelehnt abgesagt""",
    "car": "drive drives drove driving car vehicle fährt fahren auto wagen conduit voiture conduce coche",
    "commute": "commute commutes commuting bike bicycle bus train tram subway walks rides cycles fahrrad bahn zug",
    "family": """married single engaged divorced partner wife husband girlfriend boyfriend dating spouse separated
        verheiratet ledig verlobt geschieden getrennt partnerin""",
    "tool": """use uses used using tool version stack database runs hosted host hosting editor framework
        language nutzt nutzen verwendet benutzt läuft setzt""",
    "name": "nickname calls name named called renamed rename title goes known heißt genannt nennt umbenannt",
    "place": """where place located location kept keep keeps stored store key keys parked lies sits held hold holds
        venue room office desk floor seat sits liegt steht befindet aufbewahrt zimmer büro raum platz
        sitzt""",
    "secret": "password passcode code pin wifi passwort kennwort code",
    "size": "size headcount members employees people many count number seats anzahl mitarbeiter größe",
    "department": "department dept division squad transferred transfers abteilung versetzt departamento",
    "study": "study studies studied studying major majors university school degree studiert studium hochschule uni",
    "goal": "goal plan plans planning wants intends aim aims training target ziel plant will möchte",
}

_CHANGES: Final = """
    now nowadays currently today anymore longer instead switch switched switches switching change changed changes
    changing moved moves move relocated replaced replaces replace newly renamed became become becomes since recently
    lately meanwhile updated update raised lowered increased decreased reduced dropped rose grew upgraded downgraded
    migrated transferred transfers promoted postponed rescheduled brought pushed shifted delayed extended cut corrected
    correction actually stopped stops quit gave given started starts begun handed swapped
    traded sold bought left leaving returned finally later henceforth onwards effective latest revised revision
    turned converted went got rewritten rebuilt redesigned reassigned rebranded elected appointed adopted hired
    retrained relicensed resumed resumes reshuffle
    shortened lengthened prolonged doubled halved tripled redirected rerouted flipped toggled scrap scrapped ditched
    abandoned superseded expanded shrank shrunk slashed bumped trimmed tightened relaxed loosened exchanged succeeded
    succeeds inherited nominated relaunched repainted refurbished reopened resigned retired rescheduled adjourned
    deferred advanced ported transitioned downsized scaled grown climbed jumped fell fallen remarried embraced revoked
    reversed overturned discontinued decommissioned deprecated outdated obsolete renewed settled rerouted rehired
    verlängert verkürzt verdoppelt halbiert gesenkt aufgestockt umgestellt abgelöst gekürzt prolongé raccourci remplacé
    augmenté baissé ampliado reducido sustituido aplazado
    cancelled canceled shipped slipped anew formerly previously former ex used latter
    again new neu neue neuen neuer instead rewrote overtook dyed improved picked closed finished
    désormais maintenant nouveau nouvelle déménagé changé vendu quitté passé dejó ahora nuevo nueva cambió cambiado
    mudó subido
    jetzt nun inzwischen mittlerweile mehr statt stattdessen seit neuerdings gewechselt
    wechselt wechselte geändert ändert umgezogen gezogen verschoben verlegt ersetzt ab aktuell künftig zukünftig
    umgestiegen steigt geworden wurde wurden gestiegen gesunken erhöht gesenkt übernimmt übernommen verkauft aufgehört
    nachfolger nachfolgerin umbenannt aktualisiert doch wieder
"""
CHANGES: Final = frozenset(_CHANGES.split())
"""Words of a statement that takes the place of an earlier one."""

_EVENTS_OF_CHANGE: Final = """
    sold bought left leaving gave given got picked finished closed started starts begun returned traded handed went cut
    dyed improved corrected correction updated update hired cancelled canceled shipped extended raised again
    expanded scrap scrapped ditched repainted refurbished relaunched exchanged inherited embraced flipped toggled
    renewed resumed resumes abandoned reshuffle
    fell fallen climbed jumped settled retired resigned grown scaled advanced reopened
    recently lately stopped stops won called finally later promoted
    verkauft doch wieder vendu subido
"""
EVENTS_OF_CHANGE: Final = frozenset(_EVENTS_OF_CHANGE.split())
"""Words of :data:`CHANGES` that also tell of things that change no value: "Anna sold Karl her bike"."""

_ADDS: Final = "also additionally besides moreover auch außerdem zusätzlich ebenfalls weitere"
ADDS: Final = frozenset(_ADDS.split())
"""Words of a statement that stands beside an earlier one."""

_BEST: Final = "favourite favorite prefer prefers preferred best rather lieber liebsten liebste bevorzugt"
BEST: Final = frozenset(_BEST.split())
"""Words of a liking of which there is one."""

_MANY: Final = """
    like likes love loves enjoy enjoys visited visits visit speaks speak plays play knows know read reads watched
    watches met meets bought has have owns mag liebt spricht spielt kennt besucht hat las gelesen went travelled
    traveled
    allergic fluent good afraid fond interested keen allergisch allergique alérgico alérgica take takes
    attended said told asked saw ate cooked collect collects
    fait joue parle aime connaît visité habla juega gusta conoce
"""
MANY: Final = frozenset(_MANY.split())
"""Verbs that hold of many things at once: who likes tea may like coffee."""

_LISTED: Final = """
    include includes included contain contains offer offers sell sells cover covers attended visited met bought like
    likes love loves speak speaks know knows read watched collect collects
"""
LISTED: Final = frozenset(_LISTED.split())
"""Verbs that hold of many things at once, also where the question has them."""

COUNTED: Final = frozenset(["take", "takes", "has", "have", "hat", "a", "tiene"])
"""Words of :data:`MANY` that are followed by one number: "takes 4 hours"."""

_NUMBERS: Final = (
    "two zwei deux dos",
    "three drei trois tres",
    "four vier quatre cuatro",
    "five fünf cinq cinco",
    "six sechs seis",
    "seven sieben siete",
    "eight acht huit ocho",
    "nine neun nueve",
    "ten zehn dix diez",
    "eleven elf onze",
    "twelve zwölf douze doce",
)
_TEENS: Final = "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS: Final = (
    "twenty zwanzig vingt veinte",
    "thirty dreißig trente treinta",
    "forty vierzig quarante cuarenta",
    "fifty fünfzig cinquante cincuenta",
    "sixty sechzig soixante sesenta",
    "seventy siebzig",
    "eighty achtzig",
    "ninety neunzig",
)
NUMBERS: Final = {
    **{word: str(number) for number, words in enumerate(_NUMBERS, 2) for word in words.split()},
    **{word: str(number) for number, word in enumerate(_TEENS.split(), 13)},
    **{word: f"{number}0" for number, words in enumerate(_TENS, 2) for word in words.split()},
}
"""Numbers that are written as words. "One" is more often no number."""

_UNITS: Final = "euro euros dollars eur usd month year week day hours people percent items jahr monat woche tag"
UNITS: Final = frozenset(_UNITS.split())
"""Words that two statements have in common because both have a number."""

_OTHERS: Final = """
    brother sister mother father mum mom dad parents son daughter child children kids wife husband partner friend
    girlfriend boyfriend uncle aunt cousin nephew niece grandmother grandfather grandma grandpa neighbour neighbor
    colleague roommate flatmate assistant boss manager dog cat boyfriend twin fiancé fiancée ex
    bruder schwester mutter vater eltern sohn tochter kind kinder partnerin freund freundin onkel tante
    cousine neffe nichte oma opa großmutter großvater nachbar nachbarin kollege kollegin hund katze
"""
OTHERS: Final = frozenset(_OTHERS.split())
"""Persons that are named by another one: where Anna's brother lives is not where Anna lives."""

_SELF: Final = """
    i me my mine myself i'm i've i'd user user's guest guest's customer customer's ich mir mich mein meine meinen meiner
"""
SELF: Final = frozenset(_SELF.split())
"""Words for the one whose memory it is."""

_STOP: Final = """
    a an the and or but of in on at to for from with by about into onto as is are was were be been being am do does did
    has have had having it its it's he she they them his her their him we us our you your this that these those there
    here what which who whom whose where when why how much many can could over will would shall should may might must
    not no yes so if then than too very just please tell me i my mine i'm any some all still yet only up out off own it
    s t re ve ll d m let know also get got
    der die das den dem des ein eine einen einem einer und oder aber von im in am an auf zu zum zur für mit bei aus nach
    über um als ist sind war waren sein seine seiner seinen ihr ihre ihrem ihren er sie es wir ihr man was wer wen
    wem wo
    wohin woher wann warum wie viel welche welcher welches welchen nicht kein keine hat haben hatte wird werden dass ob
    ich mein meine du dein deine bitte noch nur so denn mal gerade
    le la les l un une des du de d et est sont était il elle je tu nous vous que qui quel quelle quels quelles où quand
    combien comment a à au aux en dans sur pour par avec son sa ses mon ma mes ce cette se y
    el los las lo una unos y o es son está están era al del con su sus mi mis tu tus qué quién quien cuál cuánto dónde
    cuándo cómo ha han hay sé
"""
STOP: Final = frozenset(_STOP.split())
"""Words that tell nothing about the subject or the relation."""


NEW: Final = frozenset(["new", "neu", "neue", "neuen", "neuer", "nouveau", "nouvelle", "nuevo", "nueva"])
"""Words of :data:`CHANGES` that stand before a thing."""


ONE_AT_A_TIME: Final = frozenset(
    ["home", "work", "chief", "price", "date", "phone", "mail", "state", "name", "place", "secret", "size"]
)
"""Relations that a thing has to one other thing at a time."""


def _by_word() -> dict[str, frozenset[str]]:
    relations: dict[str, set[str]] = {}
    for name, words in _RELATIONS.items():
        for word in words.split():
            relations.setdefault(word, set()).add(name)
    return {word: frozenset(names) for word, names in relations.items()}


RELATIONS: Final = _by_word()
"""The relations that a word may tell."""
