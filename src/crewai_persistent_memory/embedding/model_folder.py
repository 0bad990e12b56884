"""A folder with a text model: which files it has, and how texts go into the model.

Folders come in several layouts: an ONNX file at the top or in ``onnx/``, optimized or quantized, with or without the
files of sentence-transformers (``1_Pooling``, ``sentence_bert_config.json``, ``config_sentence_transformers.json``).
Only the ONNX file and ``tokenizer.json`` are required. The other files say how many tokens the model takes, how token
vectors become one vector, and which prefixes queries and texts need. Without them, the model's name decides.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from ..errors import EmbedderUnavailableError

Pooling = Literal["mean", "cls", "last"]
"""How the vectors of a text's tokens become one vector: their mean, the first, or the last one."""

_ONNX_FILES: Final = tuple(
    f"{folder}{name}.onnx"
    for name in ("model", "model_optimized", "model_quantized", "model_int8", "model_uint8")
    for folder in ("", "onnx/")
)
"""Preferred first."""

_TOKENS: Final = 512
"""The number of tokens that a model takes, if no file says it: that of BERT."""

_BY_FIRST_TOKEN: Final = re.compile(
    r"(^|[/_-])bge-|snowflake-arctic-embed|mxbai-embed|gte-\w+-en-v1\.5|gte-multilingual", re.IGNORECASE
)
"""Models that were trained with the vector of the first token. All others that are known here: with the mean."""


class Prefixes(NamedTuple):
    """What stands before a text when it is embedded."""

    query: str = ""
    text: str = ""


_PREFIXES: Final = (
    (re.compile(r"(^|[/_-])e5-(?!.*instruct|mistral)", re.IGNORECASE), Prefixes("query: ", "passage: ")),
    (re.compile(r"nomic-embed-text", re.IGNORECASE), Prefixes("search_query: ", "search_document: ")),
    (
        re.compile(r"snowflake-arctic-embed-(?!.*-v2)|mxbai-embed-large", re.IGNORECASE),
        Prefixes("Represent this sentence for searching relevant passages: "),
    ),
    (re.compile(r"snowflake-arctic-embed-.*-v2", re.IGNORECASE), Prefixes("query: ")),
)
"""As the models' own descriptions say. BGE v1.5 needs none."""

_LONGEST_SHOWN: Final = 200
"""Characters of a path in a message."""

_BLOCK: Final = 1 << 16
_BLOCKS: Final = 64


@dataclass(frozen=True)
class ModelFolder:
    """What is in a model's folder.

    Attributes:
        name: the model's name, as its own configuration says it, or the name of the folder.
        onnx: the model.
        tokenizer: ``tokenizer.json``.
        max_tokens: the largest number of tokens of one text, with those that the tokenizer adds.
        pad_id: the token that fills up shorter texts of a batch.
        pooling: for models whose output is one vector for each token.
        prefixes: what stands before queries and texts.
        digest: identifies the model and how it is used, wherever the folder is.
    """

    name: str
    onnx: Path
    tokenizer: Path
    max_tokens: int
    pad_id: int
    pooling: Pooling
    prefixes: Prefixes
    digest: str

    @classmethod
    def read(cls, place: Path, *, name: str | None = None, onnx_file: str | None = None) -> ModelFolder:
        """Look through a folder, or around an ONNX file.

        Args:
            place: the folder; or the ONNX file, where a folder has several.
            name: the model's name, if it is known.
            onnx_file: the ONNX file inside the folder, if it is known.

        Raises:
            EmbedderUnavailableError: there is no such folder, or a file is missing, malformed or not readable.
        """
        try:
            return cls._read(place, name, onnx_file)
        except OSError as error:
            raise EmbedderUnavailableError(
                f"the model in {str(place)[:_LONGEST_SHOWN]} cannot be read ({error.strerror}): give a folder that "
                "this process may read"
            ) from error

    @classmethod
    def _read(cls, place: Path, name: str | None, onnx_file: str | None) -> ModelFolder:
        folder, onnx = _files(place, onnx_file)
        tokenizer = folder / "tokenizer.json"
        if not tokenizer.is_file():
            raise EmbedderUnavailableError(
                f"the model folder {folder} has no tokenizer.json: copy it there from the place where the model is from"
            )
        config = _json(folder / "config.json")
        name = name or _name_in(config) or folder.name
        max_tokens = _max_tokens(folder, config, _json(tokenizer))
        pooling = _pooling(folder, name)
        prefixes = _prefixes(folder, name)
        usage = json.dumps([max_tokens, pooling, prefixes])
        return cls(
            name=name,
            onnx=onnx,
            tokenizer=tokenizer,
            max_tokens=max_tokens,
            pad_id=_whole(config.get("pad_token_id")) or 0,
            pooling=pooling,
            prefixes=prefixes,
            digest=_digest([onnx, *_beside(onnx), tokenizer], usage),
        )


def _files(place: Path, onnx_file: str | None) -> tuple[Path, Path]:
    """The folder, and its ONNX file."""
    if place.is_file() and place.suffix == ".onnx":
        folder = place.parent
        return (folder.parent if folder.name == "onnx" and not (folder / "tokenizer.json").exists() else folder), place
    if not place.is_dir():
        raise EmbedderUnavailableError(
            f"there is no model folder {place}: give the folder that holds the model's ONNX file and tokenizer.json"
        )
    for name in (onnx_file,) if onnx_file else _ONNX_FILES:
        if (place / name).is_file():
            return place, place / name
    others = sorted([*place.glob("*.onnx"), *place.glob("onnx/*.onnx")])
    if len(others) == 1:
        return place, others[0]
    if others:
        names = ", ".join(str(each.relative_to(place)) for each in others)
        raise EmbedderUnavailableError(f"the model folder {place} has several ONNX files ({names}): give one of them")
    raise EmbedderUnavailableError(
        f"the model folder {place} has no ONNX file (model.onnx, onnx/model.onnx): many models are published in this "
        "format too; others are exported with 'optimum-cli export onnx'"
    )


def _json(file: Path) -> Mapping[str, Any]:
    """The object in a file; empty if there is no file."""
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EmbedderUnavailableError(f"{file} cannot be read: {error}. Copy the model anew") from error
    return content if isinstance(content, Mapping) else {}


def _name_in(config: Mapping[str, Any]) -> str | None:
    name = config.get("_name_or_path")
    # A path names a folder of the machine that the model was exported on.
    return name if isinstance(name, str) and re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) else None


def _max_tokens(folder: Path, config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> int:
    """As sentence-transformers and transformers find it."""
    truncation = tokenizer.get("truncation")
    said = (
        _json(folder / "sentence_bert_config.json").get("max_seq_length"),
        _json(folder / "tokenizer_config.json").get("model_max_length"),
        truncation.get("max_length") if isinstance(truncation, Mapping) else None,
        _TOKENS,
    )
    found = next(number for each in said if (number := _whole(each)))
    positions = _whole(config.get("max_position_embeddings"))
    if positions is None:
        return found
    if config.get("model_type") in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= 2  # their positions begin behind the padding's
    return min(found, max(positions, 8))


def _whole(value: Any) -> int | None:
    """A positive number. transformers writes 1e30 for "unknown"."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < sys.maxsize else None


def _pooling(folder: Path, name: str) -> Pooling:
    config = _json(folder / "1_Pooling" / "config.json")
    modes = {mode.removeprefix("pooling_mode_") for mode, on in config.items() if mode.startswith("pooling_") and on}
    for mode, pooling in _MODES.items():
        if mode in modes:
            return pooling
    if modes:
        raise EmbedderUnavailableError(
            f"the model in {folder} combines its tokens by {' and '.join(sorted(modes))}, which is not supported here: "
            "use another model, or give a function as embedder"
        )
    return "cls" if _BY_FIRST_TOKEN.search(name) else "mean"


_MODES: Final[Mapping[str, Pooling]] = {"cls_token": "cls", "mean_tokens": "mean", "lasttoken": "last"}


def _prefixes(folder: Path, name: str) -> Prefixes:
    prompts = _json(folder / "config_sentence_transformers.json").get("prompts")
    if isinstance(prompts, Mapping) and any(prompts.values()):
        texts = [prompts[key] for key in ("document", "passage", "text") if prompts.get(key)]
        return Prefixes(str(prompts.get("query") or ""), str(texts[0]) if texts else "")
    return next((prefixes for pattern, prefixes in _PREFIXES if pattern.search(name)), Prefixes())


def _beside(onnx: Path) -> list[Path]:
    """The weights of a large model, which are in files of their own."""
    return sorted(each for each in onnx.parent.glob(f"{onnx.name}*") if each != onnx and "data" in each.suffix)


def _digest(files: list[Path], usage: str) -> str:
    """From the files' sizes and contents. Of a large file, blocks from all over it are read: a few milliseconds."""
    digest = hashlib.sha256(usage.encode())
    for file in files:
        size = file.stat().st_size
        digest.update(f"{size};".encode())
        with file.open("rb") as stream:
            if size <= _BLOCK * _BLOCKS:
                digest.update(stream.read())
                continue
            for number in range(_BLOCKS):
                stream.seek((size - _BLOCK) * number // (_BLOCKS - 1))
                digest.update(stream.read(_BLOCK))
    return digest.hexdigest()[:32]
