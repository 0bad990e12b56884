"""The indexes of a collection in the server's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from qdrant_client import models

from ....errors import ConfigurationError
from ....io.steps import Steps
from ..engine_requests import Lacks, Request
from ..schema import FILTER_FIELDS_KEY, Index, IndexKind
from .client import RetryingClient

_INDEX_PARAMS: Final[Mapping[IndexKind, Any]] = {
    IndexKind.TENANT: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    IndexKind.KEYWORD: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD),
    IndexKind.DIGEST: models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=True, range=False),
    IndexKind.NUMBER: models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=False, range=True),
    IndexKind.FLOAT: models.FloatIndexParams(type=models.FloatIndexType.FLOAT),
    IndexKind.TIME: models.DatetimeIndexParams(type=models.DatetimeIndexType.DATETIME),
}


def create_indexes(client: RetryingClient, collection: str, indexes: Mapping[str, Index], where: str) -> Steps[Any]:
    """Create those of the indexes that the collection lacks. Returns what the server says of the collection.

    Raises:
        ConfigurationError: the collection has an index of another kind on a key.
    """
    info = yield from client.call("get_collection", {"collection_name": collection})
    for key, index in indexes.items():
        params = _INDEX_PARAMS[index.kind]
        existing = (info.payload_schema or {}).get(key)
        if existing is None:
            # No timeout of its own: Qdrant 1.16 cannot read that parameter here.
            arguments = {"collection_name": collection, "field_name": key, "field_schema": params, "wait": True}
            yield from client.call("create_payload_index", arguments)
        elif str(getattr(existing.data_type, "value", existing.data_type)) != params.type.value:
            # Creating it would replace the other one without a word.
            raise ConfigurationError(
                f"collection {collection!r} at {where} has a {existing.data_type} index on {key!r}, where "
                f"{params.type.value} is needed: choose another collection="
            )
    return info


def uses_fields(request: Request[Any]) -> bool:
    """Whether a request looks for entries without the values of filter fields, as every filter by one does first."""
    where = getattr(request, "where", ())
    return any(isinstance(condition, Lacks) and condition.key == FILTER_FIELDS_KEY for condition in where)
