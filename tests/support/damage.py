"""Damage to the files of an embedded store."""

from __future__ import annotations

from pathlib import Path


def damage_text(path: Path, text: str) -> str:
    """Overwrite a text where the store keeps it. Returns the file's name in the store."""
    for file in path.rglob("page_*.dat"):
        content = bytearray(file.read_bytes())
        place = content.find(text.encode())
        if place > 0:
            content[place : place + 4] = b"\xff\xff\xff\xff"
            file.write_bytes(content)
            return str(file.relative_to(path))
    raise AssertionError(f"no file of {path} has the text {text!r}")
