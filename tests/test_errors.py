"""Errors as data: what became of the call, whether it may be made again, and the same after another process."""

from __future__ import annotations

import copy
import inspect
import json
import pickle

import pytest

import crewai_persistent_memory
from crewai_persistent_memory import errors
from crewai_persistent_memory.errors import (
    DimensionMismatchError,
    EngineError,
    InvalidArgumentError,
    InvalidEntryError,
    Outcome,
    PersistentMemoryError,
    RequestRefusedError,
    StoreBusyError,
    StoreUnavailableError,
)

CLASSES = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, PersistentMemoryError)]


def test_every_class_stands_in_the_tree_and_is_public() -> None:
    tree = errors.__doc__ or ""
    for each in CLASSES:
        assert each.__name__ in tree
        assert getattr(crewai_persistent_memory, each.__name__) is each
    assert crewai_persistent_memory.Outcome is Outcome


@pytest.mark.parametrize("kind", CLASSES)
def test_none_is_a_runtime_error_and_each_has_data(kind: type[PersistentMemoryError]) -> None:
    assert not issubclass(kind, RuntimeError)
    error = DimensionMismatchError(3, 4) if kind is DimensionMismatchError else kind("why")
    assert error.outcome is None or error.outcome in list(Outcome)
    assert error.retry_after is None
    assert not (error.retryable and error.outcome is Outcome.REFUSED)


@pytest.mark.parametrize("carry", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", CLASSES)
def test_data_survives_pickling_and_copying(kind: type[PersistentMemoryError], carry: object) -> None:
    assert callable(carry)
    error = DimensionMismatchError(3, 4) if kind is DimensionMismatchError else kind("why")
    error.outcome, error.retryable, error.retry_after = Outcome.UNKNOWN, True, 1.5
    back = carry(error)
    assert type(back) is kind
    assert str(back) == str(error)
    assert (back.outcome, back.retryable, back.retry_after) == (Outcome.UNKNOWN, True, 1.5)
    assert vars(back) == vars(error)


def test_given_data_stands_in_place_of_the_classs() -> None:
    assert StoreUnavailableError("x").outcome is Outcome.UNKNOWN
    assert StoreUnavailableError("x", outcome=Outcome.NOT_DONE, retryable=True).retryable
    assert StoreBusyError("x", 3.0).retry_after == StoreBusyError("x", retry_after=3.0).retry_after == 3.0
    assert StoreBusyError("x").retryable


def test_an_outcome_is_a_text() -> None:
    assert Outcome.NOT_DONE == "not_done"
    assert json.dumps({"outcome": Outcome.UNKNOWN}) == '{"outcome": "unknown"}'


def test_an_argument_is_told_from_an_entry() -> None:
    assert issubclass(InvalidArgumentError, InvalidEntryError)
    assert issubclass(InvalidArgumentError, ValueError)
    assert not issubclass(InvalidEntryError, ValueError)
    assert issubclass(RequestRefusedError, InvalidEntryError)
    assert issubclass(RequestRefusedError, EngineError)
    assert RequestRefusedError("x").outcome is Outcome.REFUSED
