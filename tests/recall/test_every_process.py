"""What an agent is given is the same in every process: not a matter of the seed that Python hashes strings with."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
from datetime import datetime, timedelta
from crewai_persistent_memory.entry import MemoryEntry
from crewai_persistent_memory.recall import duplicates
from crewai_persistent_memory.recall.pipeline import Bounds, given, ordered
from crewai_persistent_memory.recall.looks import marks_in
at = datetime(2026, 3, 1)
companies = ["Aldermoor Foods", "Eastvale Clinics", "Northgate Ferries", "Brookside Mills"]
works = ["Audit the energy use", "Plan the spring campaign", "Compare the offers", "Draft the safety rules"]
ends = ["act before the summer, and report on the progress", "look at the numbers again after the next quarter",
        "ask two more suppliers, because prices move", "wait until the board has met in autumn"]
entries = []
for number in range(160):
    company, work, end = companies[number % 4], works[number // 4 % 4], ends[number // 16 % 4]
    text = f"{work} of {company} in week {number}. Result: The recommendation for {company} is to {end}. " * 3
    entries.append(MemoryEntry(str(number), text, created_at=at + timedelta(days=number), score=0.9 - number / 500))
print(marks_in(entries[0].content))  # two words may have one mark, and which ones do decides an order now and then
for work in works:
    found = ordered(entries, f"{work} of Aldermoor Foods")
    print([(each.entry.id, each.score) for each in found])
    print([each.text for each in given(found, work, Bounds(4000, None, True))])
print(duplicates._marks_of(entries[0].content))  # which reports are compared with each other
"""


def test_the_order_and_the_passages() -> None:
    printed = []
    for seed in range(4):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert printed[0]
    assert printed == printed[:1] * 4
