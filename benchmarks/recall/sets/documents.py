"""Eight reports of 2,500 words each. Ten sentences of each report are asked after."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from ..cases import Cases, Evidence, Memory, Owner, Question

_REPORTS = (
    ("the harbour extension", "Wessel Bay"), ("the tram line", "Norrby"), ("the hospital wing", "Calder Heights"),
    ("the school campus", "Pinehurst"), ("the water works", "Orsova"), ("the museum quarter", "Valmere"),
    ("the solar park", "Tarnfield"), ("the railway bridge", "Kongsbro"),
)  # fmt: skip

# a sentence with a value in it, and the question that it answers
_FACTS = (
    ("The ground of {what} contains a layer of soft clay {n} metres deep.", "What lies below {what}?"),
    ("The chief engineer of {what} is {name}, who came from a dam project.", "Who leads the engineering of {what}?"),
    ("Residents of {where} filed {n} objections, most of them about noise at night.",
     "What did residents of {where} object to?"),
    ("The steel for {what} is bought in lots of {n} tonnes from a mill abroad.", "How is the steel for {what} bought?"),
    ("A colony of protected bats was found near {where}, so work stops every {month}.",
     "Why does work near {where} stop for a month?"),
    ("The contingency reserve for {what} stands at {n} percent of the total cost.",
     "How large is the reserve for {what}?"),
    ("Heavy rain in {month} flooded the site office at {where} and damaged the plans.",
     "What damaged the plans at {where}?"),
    ("The opening ceremony of {what} is planned for the {n}th day of {month}.", "When does {what} open?"),
    ("Insurance for {what} excludes damage by frost, as {name} pointed out.",
     "What is not covered by the insurance of {what}?"),
    ("The tender for the lighting of {what} drew only {n} bids.", "How many companies bid for the lighting of {what}?"),
)  # fmt: skip

_NAMES = (
    "Ines Falk",
    "Marek Dolan",
    "Sunniva Aas",
    "Pavel Orlik",
    "Greta Lind",
    "Tomas Reyes",
    "Yara Haddad",
    "Ken Ito",
)
_MONTHS = ("January", "March", "April", "June", "July", "September", "October", "November")

_SUBJECTS = ("The committee", "The contractor", "The town council", "The project office", "An outside expert",
             "The steering group", "The finance department", "The site manager")  # fmt: skip
_VERBS = ("discussed", "reviewed", "postponed", "approved", "questioned", "described", "compared", "summarised")
_OBJECTS = ("the progress of the works", "the schedule for the coming weeks", "the list of open tasks",
            "the quality of the deliveries", "the safety training", "the use of local suppliers",
            "the state of the access roads", "the monthly statement of costs")  # fmt: skip
_ENDINGS = ("and no decision was taken.", "and will return to it at the next meeting.",
            "with a short note in the minutes.",
            "after a visit to the site.", "as had been agreed before.", "while two members were absent.",
            "and asked for more figures.", "in a session of two hours.")  # fmt: skip


def cases() -> Cases:
    chance = random.Random(31)
    memories, questions = [], []
    for number, (what, where) in enumerate(_REPORTS):
        key = f"report-{number}"
        facts = []
        for form, question in _FACTS:
            values = {
                "what": what, "where": where, "n": chance.randint(11, 89), "name": _NAMES[number],
                "month": chance.choice(_MONTHS),
            }  # fmt: skip
            facts.append(form.format(**values))
            questions.append(Question(question.format(**values), (Evidence(key, facts[-1]),)))
        title = f"Report on {what} at {where}"
        memories.append(Memory(key, _text(title, facts, chance), datetime(2026, 3, 2) + number * timedelta(days=6)))
    return Cases("documents", "eight reports of 2,500 words", (Owner("council", tuple(memories), tuple(questions)),))


def _text(title: str, facts: list[str], chance: random.Random) -> str:
    sections = []
    words = 0
    left = chance.sample(facts, len(facts))
    while words < 2_500:
        sentences = [
            f"{chance.choice(_SUBJECTS)} {chance.choice(_VERBS)} {chance.choice(_OBJECTS)} {chance.choice(_ENDINGS)}"
            for _ in range(17)
        ]
        if left:
            sentences.insert(chance.randrange(len(sentences)), left.pop())
        paragraphs = [" ".join(sentences[at : at + 6]) for at in range(0, len(sentences), 6)]
        sections.append(f"## Section {len(sections) + 1}\n\n" + "\n\n".join(paragraphs))
        words += len(sections[-1].split())
    assert not left
    return f"# {title}\n\n" + "\n\n".join(sections)
