"""The figures as a table with bars, as a picture, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from ..picture import picture
from .measuring import CHARACTERS_PER_TOKEN, DEPTHS, Figures
from .prices import AS_OF, PRICES, PROMPTS, cost

_BAR: Final = 20
"""Columns of a whole bar."""


def show(title: str, figures: Sequence[Figures], prices: Mapping[str, float]) -> None:
    """Print the tables. On a narrow terminal, the one of the settings has no bars."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    wide = console.width >= 100
    console.print(Text(title))
    console.print()
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    table.add_column("setting", overflow="fold")
    for depth in DEPTHS:
        table.add_column(f"found @{depth}", justify="right")
    table.add_column("in the prompt", justify="right")
    if wide:
        table.add_column("", no_wrap=True)
    for name in ("characters", "most", "tokens ≈"):
        table.add_column(name, justify="right")
    for each in figures:
        cells = [each.setting, *(f"{each.found[depth]:.0%}" for depth in DEPTHS), f"{each.in_prompt:.0%}"]
        if wide:
            cells.append(_bar(each.in_prompt))
        table.add_row(*cells, f"{each.characters:,.0f}", f"{each.most_characters:,}", f"{each.tokens:,.0f}")
    console.print(table)
    console.print()
    costs = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    costs.add_column(f"US$ for {PROMPTS:,} prompts", overflow="fold")
    for each in figures:
        costs.add_column(each.setting, justify="right", overflow="fold")
    for model, price in prices.items():
        costs.add_row(model, *(f"{cost(each.tokens, price):.2f}" for each in figures))
    console.print(costs)
    console.print()
    console.print(Text(_notes(prices)))


def _bar(share: float) -> str:
    filled = round(share * _BAR)
    return "█" * filled + "·" * (_BAR - filled)


def _notes(prices: Mapping[str, float]) -> str:
    dated = f" Prices are list prices of {AS_OF}; --price gives yours." if prices == PRICES else ""
    return (
        "found @n: in the n best results of a search for the question alone. In the prompt: when a crew asks, in the "
        f"agent's prompt. Tokens are estimated as characters ÷ {CHARACTERS_PER_TOKEN}.{dated}"
    )


def as_dict(
    scope: str, memories: int, questions: int, tasks: int, figures: Sequence[Figures], prices: Mapping[str, float]
) -> dict[str, Any]:
    """Everything that the tables show, for ``--json``."""
    return {
        "scope": scope,
        "memories": memories,
        "questions": questions,
        "tasks": tasks,
        "settings": [
            each.to_dict() | {"cost": {model: cost(each.tokens, price) for model, price in prices.items()}}
            for each in figures
        ],
        "prices": {"as_of": AS_OF if prices == PRICES else None, "per_million_tokens": dict(prices)},
    }


_LEFT, _WIDTH, _ROW, _TOP = 260, 420, 44, 56


def as_svg(title: str, figures: Sequence[Figures]) -> str:
    """A picture: for each setting, the evidence in the prompt and the characters that it took."""
    most = max((each.characters for each in figures), default=0) or 1
    height = _TOP + _ROW * len(figures) + 16
    parts = []
    for number, each in enumerate(figures):
        y = _TOP + number * _ROW
        share, length = each.in_prompt * _WIDTH, each.characters / most * _WIDTH
        parts += [
            f'<text x="{_LEFT - 10}" y="{y + 18}" text-anchor="end">{escape(each.setting)}</text>',
            f'<rect x="{_LEFT}" y="{y + 4}" width="{share:.1f}" height="16" fill="#2b6cb0"/>',
            f'<text x="{_LEFT + share + 6:.1f}" y="{y + 17}">{each.in_prompt:.0%}</text>',
            f'<rect x="{_LEFT}" y="{y + 22}" width="{length:.1f}" height="10" fill="#cbd5e0"/>',
            f'<text x="{_LEFT + length + 6:.1f}" y="{y + 31}" font-size="11" fill="#555">{each.characters:,.0f}</text>',
        ]
    legend = "blue: what should be found that stands in the prompt; grey: characters of memory in the prompt"
    return picture(title, legend, _LEFT + _WIDTH + 120, height, parts)
