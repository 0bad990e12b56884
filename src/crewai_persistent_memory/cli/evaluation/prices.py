"""What memory in a prompt costs: input tokens by model."""

from __future__ import annotations

from typing import Final

AS_OF: Final = "August 2025"

PRICES: Final = {
    "gpt-4o-mini": 0.15,
    "gpt-4.1-mini": 0.40,
    "gpt-4o": 2.50,
    "gemini-2.5-flash": 0.30,
    "claude-sonnet-4": 3.00,
}
"""List prices of the providers, in US dollars for a million input tokens. They change: ``--price`` gives another."""

PROMPTS: Final = 1_000
"""Costs are given for so many prompts."""


def cost(tokens: float, price: float) -> float:
    """US dollars for :data:`PROMPTS` prompts with so many tokens of memory each.

    Args:
        tokens: in one prompt.
        price: for a million tokens.
    """
    return tokens * PROMPTS * price / 1_000_000
