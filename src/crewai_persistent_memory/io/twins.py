"""Two methods from one function: an operation is written once, and a class has it blocking and awaiting."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from .steps import Steps, arun, run

P = ParamSpec("P")
T = TypeVar("T")
Asked = TypeVar("Asked")
State = TypeVar("State")

_SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Twins(Generic[State]):
    """Makes the methods of one class from functions that return steps.

    A method has the arguments and the documentation of its function. Its result is that of the steps.

    Attributes:
        module, owner: the names of the class and its module.
        state: gives the function's first argument for an instance of the class.
    """

    def __init__(self, module: str, owner: str, state: Callable[[Any], State]) -> None:
        self.module = module
        self.owner = owner
        self.state = state

    def blocking(self, steps: Callable[Concatenate[State, P], Steps[T]]) -> Callable[Concatenate[Any, P], T]:
        """A method that blocks until the operation is done."""
        return self.through(steps, run)

    def awaiting(
        self, steps: Callable[Concatenate[State, P], Steps[T]]
    ) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
        """A method that awaits the operation; its name begins with ``a``."""
        state = self.state

        async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
            return await arun(steps(state(self), *args, **kwargs))

        return self.named(method, steps, f"a{steps.__name__}")

    def through(
        self,
        function: Callable[Concatenate[State, P], Asked],
        wait: Callable[[Asked], T],
        name: str | None = None,
        returns: Any = None,
    ) -> Callable[Concatenate[Any, P], T]:
        """A method that gives what ``wait`` makes of what the function returns.

        Args:
            function: of the class's state.
            wait: :func:`~.steps.run`, for example.
            name: of the method; left out: the function's.
            returns: the annotation of the result; left out: the result of the steps.
        """
        state = self.state

        def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
            return wait(function(state(self), *args, **kwargs))

        return self.named(method, function, name or function.__name__, returns)

    def named(
        self,
        method: Callable[Concatenate[Any, P], T],
        function: Callable[..., Any],
        name: str,
        returns: Any = None,
    ) -> Callable[Concatenate[Any, P], T]:
        """``method`` with the documentation and the signature of ``function``, as a method of the class."""
        signature = inspect.signature(function)
        if returns is None:
            returns = str(signature.return_annotation).removeprefix("Steps[").removesuffix("]")
        _, *parameters = signature.parameters.values()
        named: Any = functools.wraps(function)(method)
        named.__signature__ = signature.replace(parameters=[_SELF, *parameters], return_annotation=returns)
        named.__annotations__ = {**{each.name: each.annotation for each in parameters}, "return": returns}
        named.__module__, named.__name__, named.__qualname__ = self.module, name, f"{self.owner}.{name}"
        return named  # type: ignore[no-any-return]
