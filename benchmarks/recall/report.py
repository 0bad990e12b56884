"""Figures as tables."""

from __future__ import annotations

from typing import Any

COLUMNS = (
    "recall@5",
    "recall@10",
    "recall@20",
    "nDCG@10",
    "search ms",
    "evidence",
    "characters",
    "most characters",
    "newest first",
)


def as_text(results: list[dict[str, Any]], earlier: list[dict[str, Any]] | None = None) -> str:
    """Tables for a terminal, also readable as Markdown."""
    lines = ["| set | memories | questions | " + " | ".join(COLUMNS) + " | store µs/char |"]
    lines.append("| --- " + "| ---: " * (len(COLUMNS) + 3) + "|")
    before = {each["set"]: each for each in earlier or []}
    for each in results:
        lines.append(_row(each["set"], each))
        if each["set"] in before:
            lines.append(_row("… before", before[each["set"]]))
            lines.append(_ratios(each, before[each["set"]]))
    lines += ["", "| set | task | question by | evidence | characters |", "| --- | --- | --- | ---: | ---: |"]
    for each in results:
        old = {(row["wording"], row["form"]): row for row in before.get(each["set"], {}).get("asked", [])}
        for row in each["asked"]:
            then = old.get((row["wording"], row["form"]))
            lines.append(
                f"| {each['set']} | {row['wording']} | {row['form']} "
                f"| {row['evidence']:.3f}{was(then, 'evidence', '.3f')} "
                f"| {row['characters']:,.0f}{was(then, 'characters', ',.0f')} |"
            )
    return "\n".join(lines)


def _row(name: str, result: dict[str, Any]) -> str:
    figures = result["figures"]
    memories, questions = result["sizes"]
    cells = [number(column, figures.get(column)) for column in (*COLUMNS, "store µs/char")]
    return f"| {name} | {memories:,} | {questions:,} | " + " | ".join(cells) + " |"


def _ratios(result: dict[str, Any], before: dict[str, Any]) -> str:
    cells = []
    for column in (*COLUMNS, "store µs/char"):
        now, then = result["figures"].get(column), before["figures"].get(column)
        cells.append(f"×{now / then:.2f}" if now is not None and then else "")
    return "| … ratio | | | " + " | ".join(cells) + " |"


def number(column: str, value: float | None) -> str:
    if value is None:
        return "–"
    if "characters" in column:
        return f"{value:,.0f}"
    return f"{value:.2f}" if "ms" in column or "µs" in column else f"{value:.3f}"


def was(row: dict[str, Any] | None, column: str, form: str) -> str:
    return f" ({row[column]:{form}})" if row else ""
