"""Writes ``config/arguments.py``: the types of the options as keyword arguments, from the models of the options.

    python scripts/option_types.py            write it
    python scripts/option_types.py --check    fail if it is not what would be written

A type checker and an editor need a ``TypedDict`` in the source; pydantic's models have what each option takes. Run it
after a change of a model in ``config/``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from crewai_persistent_memory.config import Accepts
from crewai_persistent_memory.config.mem0 import Mem0Options
from crewai_persistent_memory.config.options import MemoryConfig
from crewai_persistent_memory.config.qdrant import CollectionSettings, ServerOptions

TARGET = Path(__file__).parents[1] / "src" / "crewai_persistent_memory" / "config" / "arguments.py"

HEADER = '''"""The options as keyword arguments, for type checkers and editors.

Written by ``scripts/option_types.py``. To change an option, change its model in ``qdrant.py``, ``mem0.py`` or
``options.py``, and run that program.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, TypedDict

from ..filter_fields import FilterField
from ..scope import Scope
'''

MODELS: list[tuple[type[BaseModel], str, str, str]] = [
    (CollectionSettings, "CollectionArgs", "TypedDict", "``collection_settings=``: how a new collection is laid out."),
    (ServerOptions, "ServerArgs", "TypedDict", "The options of a Qdrant server."),
    (Mem0Options, "Mem0Args", "TypedDict", "``mem0=``: the options of Mem0."),
    (MemoryConfig, "MemoryOptions", "ServerArgs", "The options of :func:`open_store`: scope, store, ranking, recall."),
]
"""Model, name of its type, what that type extends, docstring."""

ACCEPTED: dict[Any, str] = {SecretStr: "str", Path: "str | os.PathLike[str]", NoneType: "None", Any: "Any"} | {
    model: name for model, name, *_ in MODELS
}
"""What pydantic takes for a type, where it takes more than the type."""


def text_of(annotation: Any) -> str:
    """The type of an argument for a field of this type, as source."""
    if annotation in ACCEPTED:
        return ACCEPTED[annotation]
    origin, parameters = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " | ".join(map(text_of, parameters))
    if origin is Literal:
        return f"Literal[{', '.join(f'{value!r}' for value in parameters)}]".replace("'", '"')
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(text_of, parameters))}]"
    return str(annotation.__name__)


def lines() -> Iterator[str]:
    yield HEADER
    for model, name, base, docstring in MODELS:
        yield f'\n\nclass {name}({base}, total=False):\n    """{docstring}"""\n\n'
        inherited = ServerOptions.model_fields if base == "ServerArgs" else {}
        for option, field in model.model_fields.items():
            if option in inherited:
                continue
            given = next((item.type for item in field.metadata if isinstance(item, Accepts)), None)
            yield f"    {option}: {given or text_of(field.annotation)}\n"
            if field.description is None:
                raise SystemExit(f"{model.__name__}.{option} has no description")
            yield f'    """{field.description}"""\n'


def main() -> str | None:
    text = "".join(lines())
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != text:
        return f"{TARGET.name} is not what the models say: run python scripts/option_types.py"
    return None


if __name__ == "__main__":
    sys.exit(main())
