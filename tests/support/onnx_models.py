"""Small ONNX models, written byte by byte, because no package of models has a cross-encoder."""

from __future__ import annotations

from collections.abc import Iterable

_FLOAT, _INT64 = 1, 7


def cross_encoder(output: str = "logits") -> bytes:
    """A model with the inputs and the output of a cross-encoder. The score of a pair is the mean of its token ids, with
    those that fill it up: so the more of a vocabulary's later words a text has, the higher is its score."""
    nodes = [
        _node("Cast", "input_ids", "numbers", [_attribute("to", 2, 3, _FLOAT)]),
        _node("ReduceMean", "numbers", output, [_axes(1), _attribute("keepdims", 2, 3, 1)]),
    ]
    graph = [
        *(_part(1, node) for node in nodes),
        _part(2, b"scores"),
        _part(11, _value("input_ids", _INT64)),
        _part(12, _value(output, _FLOAT)),
    ]
    return b"".join([_number(1, 8), _part(7, b"".join(graph)), _part(8, _number(2, 13))])


def _node(kind: str, takes: str, gives: str, attributes: Iterable[bytes]) -> bytes:
    named = _part(1, takes.encode()) + _part(2, gives.encode()) + _part(4, kind.encode())
    return named + b"".join(_part(5, each) for each in attributes)


def _attribute(name: str, kind: int, field: int, value: int) -> bytes:
    return _part(1, name.encode()) + _number(field, value) + _number(20, kind)


def _axes(axis: int) -> bytes:
    return _attribute("axes", 7, 8, axis)


def _value(name: str, kind: int) -> bytes:
    shape = b"".join(_part(1, _part(2, axis)) for axis in (b"rows", b"columns"))
    return _part(1, name.encode()) + _part(2, _part(1, _number(1, kind) + _part(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
