"""``docs/recall.md``: every table of one run."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from .cases import Cases
from .measuring import Setting, bare, measure, stored
from .parts import PARTS, WEIGHTS, Weight, given, value_of, without

Result = dict[str, Any]

_HEAD = """# Recall

How many of the memories that answer a question are found, and how many of them an agent is given. Measured by
`python -m benchmarks.recall --write docs/recall.md`, on an embedded store on disk. Real crews ask, with an LLM that
only keeps its prompt. CrewAI {crewai}, Python {python}. {dense}

- **recall@5**, **recall@10**: the share of the evidence among the first 5 or 10 results of `open_store().search`.
  The evidence of a question is the turn, the fact or the sentence that answers it.
- **nDCG@10**: the same, but evidence at a higher place counts more.
- **in the prompt**: the share of the evidence whose text stands in the prompt of a crew's agent. The question is a
  part of the task's description. Each question is asked in {wordings} descriptions, from the question alone to a
  page of instructions. Either `kickoff(inputs=...)` or an f-string writes the question into the description.
- **newest first**: the share of changed facts whose newer statement stands in the prompt, before the older one.
- **characters**, **most**: the characters of memory in that prompt, on average and at most.

The crew asks about {sample} questions of each set in each description, so a small difference there may be chance.
The tables of parts and weights are measured with the embedder, if there is one.

The sets `turns` and `sessions` are five conversations of LoCoMo (Maharana et al., 2024; CC BY-NC 4.0). They are not
part of this project; `--conversations` names the file. All other sets are in `benchmarks/recall/sets`.
"""

BY_HAND = "\n## Why a memory is in a prompt, or not\n"
"""From here on, the document is written by hand."""


def document(
    now: dict[str, list[Result]], before: dict[str, list[Result]], more: Sequence[str], sample: int, old: str = ""
) -> str:
    """The document.

    Args:
        now: the results, by the name of the embedder.
        before: those of the checkout that they are compared with; empty without one.
        more: further sections.
        sample: questions of each set that a crew asks; 0: all.
        old: the document as it is; what is written by hand stays.
    """
    any_result = next(iter(now.values()))
    wordings = len({row["wording"] for row in any_result[0]["asked"]})
    named = [name for name in now if name != "keywords"]
    dense = f"The embedder is {named[0]}." if named else "Without an embedder: keywords only."
    lines = [
        _HEAD.format(
            crewai=version("crewai"),
            python=platform.python_version(),
            dense=dense,
            wordings=wordings,
            sample=sample or "all",
        ),
        "## Results\n",
    ]
    if before:
        lines.append("In brackets: the same run over version d43c102, which fused ranks and gave five whole texts.\n")
    for name, results in now.items():
        title = "Keywords only" if name == "keywords" else f"With {name}"
        lines += [f"### {title}\n", _results(results, before.get(name, [])), ""]
    lines += ["### By the wording of the task\n", _wordings(now, before), ""]
    _, mark, by_hand = old.partition(BY_HAND)
    return "\n".join([*lines, *more]).rstrip("\n") + f"\n{mark}{by_hand}"


def _results(results: list[Result], before: list[Result]) -> str:
    rows = [
        "| set | memories | questions | recall@5 | recall@10 | nDCG@10 | in the prompt | newest first | characters "
        "| most |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    old = {each["set"]: each["figures"] for each in before}
    for each in results:
        figures, then = each["figures"], old.get(each["set"], {})
        cells = [
            _cell(figures.get(name), then.get(name), form)
            for name, form in (
                ("recall@5", ".3f"), ("recall@10", ".3f"), ("nDCG@10", ".3f"), ("evidence", ".3f"),
                ("newest first", ".3f"),                ("characters", ",.0f"), ("most characters", ",.0f"),
            )
        ]  # fmt: skip
        memories, questions = each["sizes"]
        rows.append(f"| {each['set']}: {each['about']} | {memories:,} | {questions:,} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(value: float | None, then: float | None, form: str) -> str:
    if value is None:
        return "–"
    return f"{value:{form}}" + ("" if then is None else f" ({then:{form}})")


def _wordings(now: dict[str, list[Result]], before: dict[str, list[Result]]) -> str:
    [first] = list(now.values())[:1]
    wordings = list(dict.fromkeys((row["wording"], row["form"]) for row in first[0]["asked"]))
    rows = [
        "Evidence in the prompt.\n",
        "| set | embedder | " + " | ".join(f"{wording}, {form}" for wording, form in wordings) + " |",
        "| --- | --- | " + " | ".join("---:" for _ in wordings) + " |",
    ]
    for name, results in now.items():
        old = {each["set"]: each for each in before.get(name, [])}
        for each in results:
            then = {(r["wording"], r["form"]): r["evidence"] for r in old.get(each["set"], {}).get("asked", [])}
            cells = [_cell(row["evidence"], then.get((row["wording"], row["form"])), ".2f") for row in each["asked"]]
            rows.append(f"| {each['set']} | {'none' if name == 'keywords' else name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def parts_in_turn(sets: Iterable[Cases], setting: Setting, sample: int, wordings: Sequence[str]) -> str:
    """A table: everything on, and every part switched off in turn."""
    chosen = list(sets)
    rows = [
        "## Every part switched off in turn\n",
        "recall@10 of the question alone / evidence in the prompt / characters there.\n",
        "| without | " + " | ".join(cases.name for cases in chosen) + " |",
        "| --- | " + " | ".join("---:" for _ in chosen) + " |",
    ]
    for name in ("", *PARTS):
        cells = []
        for cases in chosen:
            with without([name] if name else []):
                figures, _ = measure(cases, setting, sample, wordings)
            cells.append(f"{figures['recall@10']:.3f} / {figures['evidence']:.3f} / {figures['characters']:,.0f}")
        label = f"`{name}`: {PARTS[name].about}" if name else "*nothing: everything is on*"
        rows.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def weights_on_halves(sets: Iterable[Cases], setting: Setting, sample: int) -> str:
    """A table: each weight chosen on every second question, and its figure on the other questions."""
    rows = [
        "## Weights chosen on one half of each set, on the other half\n",
        "Several values of each weight were tried. One column has the value that is best on the even questions; the "
        "next ones have the results on the odd questions: of that value, of the value in use, and of the best value "
        "there. "
        "Results are recall@10. For the weights of `recall.budget` they are evidence in the prompt, on sets of long "
        "texts.\n",
        "| weight | set | tried | best on the even half | on the odd half: it | in use | best there |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for weight in WEIGHTS:
        if weight.name == "ranking.COSINE_SPREAD" and not setting.store.get("embedder"):
            continue
        used = float(value_of(weight.name))
        for cases in sets:
            if weight.of_prompt and not cases.long:
                continue
            tried = sorted({*weight.tried, used})
            even, odd = {}, {}
            for value in tried:
                even[value], odd[value] = _on_halves(cases, setting, weight, value, sample)
            best = max(tried, key=lambda value: (even[value], value == used))
            there = max(tried, key=lambda value: (odd[value], value == used))
            rows.append(
                f"| `{weight.name}` = {used:g} | {cases.name} | {', '.join(f'{each:g}' for each in tried)} "
                f"| {best:g}: {even[best]:.3f} | {odd[best]:.3f} | {odd[used]:.3f} | {there:g}: {odd[there]:.3f} |"
            )
    return "\n".join([*rows, ""])


def _on_halves(cases: Cases, setting: Setting, weight: Weight, value: float, sample: int) -> tuple[float, float]:
    with given({weight.name: value}):
        if weight.of_prompt:
            figures = [measure(cases.half(half), setting, sample, ("short",))[0]["evidence"] for half in (0, 1)]
        else:
            with stored(cases, setting) as (store, _, _):
                figures = [bare(cases.half(half), store)["recall@10"] for half in (0, 1)]
    return figures[0], figures[1]
