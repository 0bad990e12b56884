"""Records of tasks as a crew saves them: the request, and an answer of 100 to 150 words."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from ..cases import Cases, Evidence, Memory, Owner, Question

_COMPANIES = (
    "Aldermoor Foods", "Brightwater Energy", "Castellan Bank", "Dunmere Textiles", "Eastvale Clinics", "Fernhill Toys",
    "Glaswind Turbines", "Harrowgate Books", "Inverlea Shipping", "Juniper Hotels", "Kestrel Bikes", "Lowfield Seeds",
)  # fmt: skip

# request, finding, the same asked in other words, and the task that comes next
_TASKS = (
    ("Estimate the market size of {c} for the coming year", "the market is worth {n} million and grows by {p} percent",
     "How big is the demand that {c} can address?", "Write a sales plan for {c} that fits the size of its market"),
    ("List the main competitors of {c}", "the strongest rival holds {p} percent and undercuts prices by {n} euros",
     "Who else sells what {c} sells?", "Prepare a comparison of {c} with its rivals for the board"),
    ("Review the supply chain of {c}", "one supplier delivers {p} percent of all parts and needs {n} days",
     "Which risks are there in how {c} gets its parts?", "Propose a second source of parts for {c}"),
    ("Summarise customer complaints about {c}", "{p} percent of complaints are about late delivery, {n} were severe",
     "What are buyers of {c} unhappy about?", "Draft an apology letter to customers of {c}"),
    ("Check the data protection of {c}", "{n} records were kept for too long, and {p} percent lack consent",
     "Does {c} handle personal information lawfully?", "Write a retention policy for {c}"),
    ("Forecast the cash flow of {c}", "cash lasts for {n} weeks if costs fall by {p} percent",
     "How long will the money of {c} be enough?", "Prepare talks of {c} with its lenders"),
    ("Analyse the web traffic of {c}", "{p} percent of visitors leave on the first page after {n} seconds",
     "How do people behave on the homepage of {c}?", "Redesign the landing page of {c}"),
    ("Survey the employees of {c}", "{p} percent would recommend their workplace, {n} gave written comments",
     "How satisfied is the staff of {c}?", "Plan a programme against resignations at {c}"),
    ("Audit the energy use of {c}", "{n} megawatt hours could be saved, most of it by {p} percent less heating",
     "Where does {c} waste electricity and gas?", "Write a climate report for {c}"),
    ("Compare insurance offers for {c}", "the best offer costs {n} thousand a year and covers {p} percent",
     "Which policy should {c} sign?", "Fill in the claims form for {c}"),
    ("Plan the product launch of {c}", "the launch needs {n} days and {p} percent of the yearly advertising",
     "When and how does {c} bring out its novelty?", "Write a press release about the new product of {c}"),
    ("Evaluate office locations for {c}", "the cheapest site costs {n} euros a metre and is {p} percent empty",
     "Where could {c} move to?", "Prepare the relocation of the staff of {c}"),
)  # fmt: skip

_FILLER = (
    "The figures come from public filings and from two interviews, and were checked against the report of last year.",
    "Several sources disagreed, so the more careful estimate was taken in each case.",
    "The team should look at the numbers again after the next quarter, because prices move quickly.",
    "No legal advice was sought, and the assumptions are listed in the appendix.",
    "Two scenarios were calculated, and the difference between them is smaller than expected.",
    "The conclusion holds even if the exchange rate changes by a tenth.",
    "A more detailed study would need access to internal data, which was not available.",
    "The recommendation is to act before the summer, and to report on the progress every month.",
    "The method is the same as in earlier work, so that the results can be compared.",
    "Smaller effects were left out, since they cancel each other over a year.",
)


def cases() -> Cases:
    chance = random.Random(23)
    owners = []
    for half in (0, 1):
        memories, questions = [], []
        at = datetime(2026, 2, 2, 8)
        for company in _COMPANIES[half * 6 : half * 6 + 6]:
            for number, (request, finding, reworded, following) in enumerate(_TASKS):
                key = f"{company}-{number}"
                n, p = chance.randint(12, 990), chance.randint(3, 97)
                result = f"For {company}, {finding.format(c=company, n=n, p=p)}."
                text = _record(request.format(c=company), result, chance)
                memories.append(Memory(key, text, at))
                at += timedelta(minutes=95)
                evidence = (Evidence(key, result),)
                asked = (("direct", request), ("reworded", reworded), ("next task", following))
                questions += [Question(form.format(c=company), evidence, kind) for kind, form in asked]
        chance.shuffle(questions)
        owners.append(Owner(f"analyst-{half}", tuple(memories), tuple(questions)))
    return Cases("tasks", "records of tasks, 100 to 150 words each", tuple(owners))


def _record(request: str, result: str, chance: random.Random) -> str:
    sentences = [*chance.sample(_FILLER, 7)]
    sentences.insert(chance.randrange(len(sentences)), result)
    return f"{request}\nResult: {' '.join(sentences)}"
