"""The file of questions: JSON, JSON Lines or CSV. Every error names the line, or the number, and the field."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...errors import ConfigurationError, InvalidEntryError
from ...validation import check_text

FIELDS: Final = ("question", "ids", "words")

HELP: Final = 'each question is like {"question": "What is John allergic to?", "words": ["nuts"], "ids": ["c1eb0069"]}'

_BETWEEN: Final = ";"
"""Between several values in one field of a CSV file."""


@dataclass(frozen=True)
class Question:
    """A question, and what should be found for it.

    Attributes:
        text: the question.
        ids: ids of entries, as ``list`` shows them.
        words: texts that should stand in the prompt.
        where: where the question is in the file, for error messages.
    """

    text: str
    ids: tuple[str, ...]
    words: tuple[str, ...]
    where: str


def read_questions(file: Path) -> list[Question]:
    """The questions of a file. Its name ends in ``.json``, ``.jsonl`` or ``.csv``.

    Raises:
        ConfigurationError: the file cannot be read, or a question is malformed. The message names line and field.
    """
    readers = {".json": _of_json, ".jsonl": _of_json_lines, ".ndjson": _of_json_lines, ".csv": _of_csv}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise ConfigurationError(f"{file} is none of {', '.join(readers)}: rename it, or convert it")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8 (byte {error.start}): convert it first") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    questions = [_question(values, f"{file}, {where}") for where, values in reader(text, file)]
    if not questions:
        raise ConfigurationError(f"{file} has no question: {HELP}")
    return questions


def _of_json(text: str, file: Path) -> Iterator[tuple[str, Any]]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:  # thousands of brackets
        raise ConfigurationError(f"{file} is not JSON: {error}") from None
    if not isinstance(values, list):
        raise ConfigurationError(f"{file} is not a list of questions: {HELP}")
    for number, value in enumerate(values, 1):
        yield f"question {number}", value


def _of_json_lines(text: str, file: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ConfigurationError(f"{file}, line {number} is not JSON: {error}") from None


def _of_csv(text: str, file: Path) -> Iterator[tuple[str, Any]]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if "question" not in (rows.fieldnames or ()):
        raise ConfigurationError(f"{file}, line 1: no column is named question; the columns are {', '.join(FIELDS)}")
    for row in _rows_of(rows, file):
        where = f"line {rows.line_num}"
        if None in row:
            raise ConfigurationError(f"{file}, {where} has more values than columns: quote values that have commas")
        values: dict[str, Any] = {name: value for name, value in row.items() if value and value.strip()}
        for name in ("ids", "words"):
            if name in values:
                values[name] = [part.strip() for part in values[name].split(_BETWEEN) if part.strip()]
        yield where, values


def _rows_of(rows: csv.DictReader[str], file: Path) -> Iterator[dict[str, str | None]]:
    try:
        yield from rows
    except csv.Error as error:
        remedy = "close its quotes, or write the questions as JSON Lines"
        raise ConfigurationError(f"{file}, line {rows.line_num + 1} is not CSV ({error}): {remedy}") from None


def _question(values: Any, where: str) -> Question:
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{where} is not an object: {HELP}")
    if unknown := [name for name in values if name not in FIELDS]:
        raise ConfigurationError(f"{where}: unknown field {unknown[0]!r}; known are {', '.join(FIELDS)}")
    text = values.get("question")
    if not isinstance(text, str) or not text.strip():
        raise ConfigurationError(f"{where}, field question: {'is missing' if text is None else 'must be a text'}")
    ids, words = _texts(values, "ids", where), _texts(values, "words", where)
    if not ids and not words:
        raise ConfigurationError(f"{where}: neither ids nor words say what should be found for {text.strip()!r}")
    for name, each in (("question", text), *(("ids", each) for each in ids), *(("words", each) for each in words)):
        try:
            check_text(f"field {name}", each)
        except InvalidEntryError as error:
            raise ConfigurationError(f"{where}, {error}") from None
    return Question(text.strip(), ids, words, where)


def _texts(values: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    given = values.get(name)
    if given is None:
        return ()
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(each, str) and each.strip() for each in texts):
        raise ConfigurationError(f"{where}, field {name}: must be a text, or a list of texts that are not blank")
    return tuple(dict.fromkeys(each.strip() for each in texts))
