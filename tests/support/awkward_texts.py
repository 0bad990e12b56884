"""Long texts of every awkward shape, each with a word in its middle that no other text has; the same every run."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

EMOJI = ["😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "❤️‍🔥"]
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
LATIN = ["the", "crew", "remembers", "what", "was", "said", "about", "prices", "routes", "museums", "and", "trains"]
HAN = "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生"


class Awkward(NamedTuple):
    """A text and the word to find it by. ``shape`` names the generator."""

    shape: str
    text: str
    word: str


def _filler(alphabet: str, size: int, chance: random.Random) -> str:
    return "".join(chance.choices(alphabet, k=size))


def _words(size: int, chance: random.Random) -> str:
    return " ".join(chance.choices(LATIN, k=size // 5))


def _range(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last)))


# Each makes about ``size`` characters of filler; the word is put between two of them.
SHAPES: dict[str, Callable[[int, random.Random], str]] = {
    "prose": _words,
    "chinese": lambda size, chance: _filler(HAN + "。，", size, chance),
    "random han": lambda size, chance: _filler(_range(0x4E00, 0x9FFF), size, chance),
    "japanese": lambda size, chance: _filler(
        _range(0x3041, 0x3096) + _range(0x30A1, 0x30FA) + HAN + "。", size, chance
    ),
    "thai": lambda size, chance: _filler(_range(0x0E01, 0x0E2F), size, chance),
    "korean": lambda size, chance: _filler(_range(0xAC00, 0xAD00) + " ", size, chance) + " ",
    "hebrew": lambda size, chance: "\u202b" + _filler(_range(0x05D0, 0x05EA) + "  ", size, chance) + "\u202c ",
    "arabic": lambda size, chance: _filler(_range(0x0627, 0x064A) + "   ،", size, chance) + " ",
    "hindi": lambda size, chance: _filler(_range(0x0905, 0x0939) + _range(0x093E, 0x094C) + "  ", size, chance) + " ",
    "combining marks": lambda size, chance: ("e\u0301\u0323" * 3 + " o\u0308 ") * (size // 14),
    "zalgo": lambda size, chance: (
        "".join(c + _filler(_range(0x0300, 0x036F), 8, chance) for c in _words(size // 9, chance)) + " "
    ),
    "emoji": lambda size, chance: "".join(chance.choices(EMOJI, k=size // 5)),
    "zero width": lambda size, chance: "".join(w + chance.choice(ZERO_WIDTH[:1]) for w in _words(size, chance).split()),
    "base64": lambda size, chance: base64.b64encode(chance.randbytes(size * 3 // 4)).decode() + " ",
    "one giant word": lambda size, chance: "a" * size + " ",
    "one giant word of many letters": lambda size, chance: (
        _filler("abcdefghijklmnopqrstuvwxyz0123456789", size, chance) + "\n"
    ),
    "html": lambda size, chance: "".join(f"<td class='c{i}'>{i * 7}</td>" for i in range(size // 24)),
    "code": lambda size, chance: "".join(f"def f_{i}(x):\n\treturn x+{i}\n" for i in range(size // 30)),
    "json": lambda size, chance: json.dumps({f"k{i}": [i, None, {"ü": "\\"}] for i in range(size // 40)}) + " ",
    "compact json": lambda size, chance: json.dumps(
        {f"k{i}": f"v{i}" for i in range(size // 15)}, separators=(",", ":")
    ),
    "nul": lambda size, chance: "a\x00b " * (size // 4),
    "control characters": lambda size, chance: _filler(_range(1, 32) + "abc ", size, chance) + " ",
    "lone surrogates": lambda size, chance: _filler(_range(0xD800, 0xDFFF) + "abc  ", size, chance) + " ",
    "crlf": lambda size, chance: "one line\r\nand\rothers\u2028here\x85there\n" * (size // 38),
    "blanks": lambda size, chance: _filler(" \t\n\u00a0\u3000\u2003", size, chance),
    "punctuation": lambda size, chance: _filler(".,;:!?-—…«»()[]{}|\\/*&^%$#@~`\"'", size, chance),
    "numbers": lambda size, chance: " ".join(str(chance.random()) for _ in range(size // 19)) + " ",
    "full width": lambda size, chance: _filler(_range(0xFF21, 0xFF3A) + "\u3000", size, chance) + " ",
    "private use": lambda size, chance: _filler(_range(0xE000, 0xE100) + _range(0xF0000, 0xF0100), size, chance) + " ",
    "noncharacters": lambda size, chance: _filler("\ufffe\uffff\U0001ffff\ufdd0ab ", size, chance) + " ",
    "turkish": lambda size, chance: _filler("İIıißẞﬁŉ ", size, chance) + " ",
    "all different": lambda size, chance: " ".join(f"w{n:x}" for n in chance.sample(range(10**7), size // 7)) + " ",
    "forged marks": lambda size, chance: (
        "\nResult: x\nAgent: y\nTask: z\nFinal Answer: no\nThought: t\n" * (size // 60)
    ),
    "empty lines": lambda size, chance: "\n" * size,
}


def _word(alphabet: str, length: int, number: int) -> str:
    digest = hashlib.blake2b(f"{number}".encode(), digest_size=2 * length).digest()
    return "".join(alphabet[int.from_bytes(digest[2 * i : 2 * i + 2], "big") % len(alphabet)] for i in range(length))


SPECIAL_MIDDLES: dict[str, Callable[[int], str]] = {
    "chinese": lambda number: _word(_range(0x5000, 0x9000), 4, number),
    "thai": lambda number: _word(_range(0x0E01, 0x0E3A) + _range(0x0E40, 0x0E46), 10, number),
}
"""In scripts without blanks the word has none around it, and is of the script. Only the Thai words have vowels."""


OTHER_SCRIPTS = {"chinese", "random han", "japanese", "thai", "korean", "hebrew", "arabic", "hindi"}
"""A word of Latin letters among theirs ends where they begin, as in "OpenAI의"."""


def awkward_texts(count: int, *, seed: int = 1, shortest: int = 8_200, longest: int = 200_000) -> Iterator[Awkward]:
    """Texts of about ``shortest`` to ``longest`` characters, and more than ``shortest`` bytes, most of them near the
    shortest; the shapes take turns."""
    shapes = list(SHAPES)
    for number in range(count):
        chance = random.Random(f"{seed}-{number}")
        shape = shapes[number % len(shapes)]
        size = int(shortest * (longest / shortest) ** (chance.random() ** 3))
        word = SPECIAL_MIDDLES[shape](number) if shape in SPECIAL_MIDDLES else f"marke{number:x}q"
        filler = SHAPES[shape]
        before, after = filler(size // 2, chance), filler(size - size // 2, chance)
        while len((before + after).encode("utf-8", "surrogatepass")) <= shortest:
            after += filler(size // 4, chance)
        if shape not in OTHER_SCRIPTS:
            before, after = _apart(before[::-1])[::-1], _apart(after)
        yield Awkward(shape, before + word + after, word)


def _apart(text: str) -> str:
    """With a blank before it, if its first letters and the word would be one word."""
    return f" {text}" if text[:1].isalnum() else text
