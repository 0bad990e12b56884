"""``docs/web-services.md``: its code as it stands, served by FastAPI to two users at once."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from crewai import Crew
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from crewai_persistent_memory import MissingScopeError, use_scope
from crewai_persistent_memory.adapters.crew_leases import leases

from ..support.asgi import Serving
from ..support.calling import until
from ..support.crews import ScriptedLLM, final
from ..support.crowd import supports_streaming
from ..support.memories import told

pytestmark = pytest.mark.crew

PAGE = (Path(__file__).parents[2] / "docs" / "web-services.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
USERS = ["john", "jane"]
NO_USER = "no user"

has_akickoff = pytest.mark.skipif(not hasattr(Crew, "akickoff"), reason="akickoff: since CrewAI 1.7")
streams = pytest.mark.skipif(not supports_streaming(), reason="this CrewAI does not stream")


def words_about(prompt: str) -> str:
    """Names who stands in the prompt."""
    return final("I know " + " ".join(sorted(set(re.findall(r"secret-\w+", prompt)))))


@pytest.fixture
def page(kept_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The page's names, after its code has run. It takes an ``llm`` for granted, and a place for the store."""
    monkeypatch.setenv("CREWAI_MEMORY_PATH", str(kept_store))
    monkeypatch.setenv("OPENAI_API_KEY", "")
    names: dict[str, Any] = {"llm": ScriptedLLM(words_about)}
    for code in PYTHON:
        exec(code, names)
    for user in USERS:
        with use_scope(user_id=user):
            names["memory"].store.add(f"secret-{user}")
    yield names
    names["memory"].close()


@contextmanager
def served(app: Any) -> Iterator[Callable[..., list[httpx.Response]]]:
    """Gives a function that sends a request of each user, both at once."""
    with Serving(app) as serving, httpx.Client(base_url=serving.url, timeout=60) as client:

        def both(method: str, path: str, **request: Any) -> list[httpx.Response]:
            def one(user: str) -> httpx.Response:
                return client.request(method, path, headers={"X-User-Id": user}, **request)

            with ThreadPoolExecutor(len(USERS)) as pool:
                return list(pool.map(one, USERS))

        yield both


def test_the_page_has_no_other_code() -> None:
    assert len(PYTHON) == 4


def started_by(page: dict[str, Any], start: str) -> FastAPI:
    """The page's service, with ``kickoff_async`` in the place of ``akickoff`` if that is wanted."""
    if start != "akickoff":
        page["memory"].close()
        for code in PYTHON:
            exec(code.replace("akickoff", start), page)
    return page["app"]  # type: ignore[no-any-return]


class TestEndpoints:
    @pytest.mark.parametrize(
        ("path", "start"),
        [
            ("/ask", "akickoff"),
            pytest.param("/ask-async", "akickoff", marks=has_akickoff),
            ("/ask-async", "kickoff_async"),
            pytest.param("/stream", "akickoff", marks=[has_akickoff, streams]),
            pytest.param("/stream", "kickoff_async", marks=streams),
        ],
    )
    def test_each_user_is_answered_from_that_users_memory(self, page: dict[str, Any], path: str, start: str) -> None:
        with served(started_by(page, start)) as both:
            for number in range(4):
                asked = {"question": f"question{number}: which secret do you know?"}
                for user, answer in zip(USERS, both("POST", path, params=asked), strict=True):
                    assert answer.status_code == 200, answer.text
                    assert set(re.findall(r"secret-\w+", answer.text)) == {f"secret-{user}"}
        for user in USERS:
            with use_scope(user_id=user):
                kept = told(page["memory"])
            assert sum("question" in text for text in kept) == 4, "streams too are remembered"
            assert {word for text in kept for word in re.findall(r"secret-\w+", text)} == {f"secret-{user}"}

    def test_no_user_no_llm_call(self, page: dict[str, Any]) -> None:
        with served(page["app"]), Serving(page["app"]) as serving:
            for path in ("/ask", "/ask-async", "/stream"):
                asked: dict[str, Any] = {"url": serving.url + path, "params": {"question": "hello"}}
                assert httpx.post(**asked).status_code == 422, "no header"
                assert httpx.post(**asked, headers={"X-User-Id": b"john\xa0"}).status_code == 400, "an odd one"
        assert page["llm"].prompts == []

    def test_a_dependency_that_is_async(self, page: dict[str, Any]) -> None:
        with served(page["app"]) as both:
            assert [answer.json() for answer in both("GET", "/memories")] == [["secret-john"], ["secret-jane"]]

    def test_a_generator_and_a_background_task_that_set_it_themselves(self, page: dict[str, Any]) -> None:
        with served(page["app"]) as both:
            assert [answer.text for answer in both("GET", "/export")] == ["secret-john\n", "secret-jane\n"]
            both("POST", "/feedback", params={"text": "good"})
            for user in USERS:
                with use_scope(user_id=user):
                    until(lambda: sorted(told(page["memory"])), ["good", f"secret-{user}"].__eq__, 30)


OWN = [{f"secret-{user}"} for user in USERS]
NOBODYS = [{NO_USER} for user in USERS]
EVERYWHERE = dict.fromkeys(["/endpoint", "/async-endpoint", "/body", "/async-body", "/background"], OWN)
NOWHERE = dict.fromkeys(EVERYWHERE, NOBODYS)


class TestWhereTheUserIsSet:
    """The table: a service that sets the user somewhere, and reads the memory elsewhere."""

    @pytest.fixture
    def service(self, page: dict[str, Any]) -> FastAPI:
        """What each place finds; two users are at each place together, and go on in turn."""
        together = threading.Barrier(len(USERS), timeout=30)
        app = FastAPI()
        app.state.background = found = []

        def look() -> str:
            together.wait()
            try:
                return str(page["memory"].store.list()[0].content)
            except MissingScopeError:
                return NO_USER

        async def alook() -> str:
            await asyncio.to_thread(together.wait)
            try:
                return str((await page["memory"].store.alist())[0].content)
            except MissingScopeError:
                return NO_USER

        @app.get("/endpoint")
        def endpoint() -> str:
            return look()

        @app.get("/async-endpoint")
        async def async_endpoint() -> str:
            return await alook()

        @app.get("/body")
        def body() -> StreamingResponse:
            return StreamingResponse(f"{look()}\n" for _ in range(3))

        @app.get("/async-body")
        async def async_body() -> StreamingResponse:
            async def lines() -> Any:
                for _ in range(3):
                    yield f"{await alook()}\n"

            return StreamingResponse(lines())

        @app.get("/background")
        def background(request: Request, tasks: BackgroundTasks) -> None:
            user = request.headers["X-User-Id"]
            tasks.add_task(lambda: found.append((user, look())))

        @app.exception_handler(MissingScopeError)
        async def refuse(request: Request, error: MissingScopeError) -> JSONResponse:
            return JSONResponse(str(error), 400)

        return app

    def found(self, app: FastAPI, user_set_by: Any = None) -> dict[str, list[set[str]]]:
        """By place: what John was given, and what Jane was."""
        answers: dict[str, list[set[str]]] = {}
        with served(user_set_by or app) as both:
            for place in ("/endpoint", "/async-endpoint", "/body", "/async-body"):
                texts = [answer.text for answer in both("GET", place)]
                answers[place] = [set(text.replace('"', "").split("\n")) - {""} for text in texts]
            both("GET", "/background")
            until(lambda: len(app.state.background), len(USERS).__eq__, 30)
        background = dict(app.state.background)
        answers["/background"] = [{background[user]} for user in USERS]
        return answers

    def test_an_async_dependency(self, page: dict[str, Any], service: FastAPI) -> None:
        outer = FastAPI(dependencies=[Depends(page["scope_of_request"])])
        outer.include_router(service.router)
        assert self.found(service, outer) == EVERYWHERE

    def test_a_sync_dependency_sets_nobody(self, page: dict[str, Any], service: FastAPI) -> None:
        def scope_of_request(request: Request) -> Iterator[None]:
            with use_scope(user_id=request.headers["X-User-Id"]):
                yield

        outer = FastAPI(dependencies=[Depends(scope_of_request)])
        outer.include_router(service.router)
        assert self.found(service, outer) == NOWHERE

    def test_an_asgi_middleware(self, page: dict[str, Any], service: FastAPI) -> None:
        service.add_middleware(page["ScopeMiddleware"])
        assert self.found(service) == EVERYWHERE

    def test_an_http_middleware(self, service: FastAPI) -> None:
        @service.middleware("http")
        async def set_scope(request: Request, call_next: Any) -> Any:
            with use_scope(user_id=request.headers["X-User-Id"]):
                return await call_next(request)

        assert self.found(service) == EVERYWHERE

    def test_the_generator_itself(self, page: dict[str, Any], service: FastAPI) -> None:
        together = threading.Barrier(len(USERS), timeout=30)

        @service.get("/own-body")
        def own_body(request: Request) -> StreamingResponse:
            def lines() -> Iterator[str]:
                with use_scope(user_id=request.headers["X-User-Id"]):
                    for _ in range(3):
                        together.wait()
                        yield page["memory"].store.list()[0].content + "\n"

            return StreamingResponse(lines())

        @service.get("/own-async-body")
        async def own_async_body(request: Request) -> StreamingResponse:
            async def lines() -> Any:
                with use_scope(user_id=request.headers["X-User-Id"]):
                    for _ in range(3):
                        await asyncio.to_thread(together.wait)
                        yield (await page["memory"].store.alist())[0].content + "\n"

            return StreamingResponse(lines())

        with served(service) as both:
            for path in ("/own-body", "/own-async-body"):
                assert [answer.text for answer in both("GET", path)] == [f"secret-{user}\n" * 3 for user in USERS]

    def test_the_endpoint(self, page: dict[str, Any], service: FastAPI) -> None:
        @service.get("/ended")
        def ended(request: Request, tasks: BackgroundTasks) -> StreamingResponse:
            user = request.headers["X-User-Id"]
            with use_scope(user_id=user):

                def look() -> str:
                    try:
                        return str(page["memory"].store.list()[0].content)
                    except MissingScopeError:
                        return NO_USER

                tasks.add_task(lambda: service.state.background.append((user, look())))
                return StreamingResponse((look() for _ in range(1)), background=tasks)

        with served(service) as both:
            assert [answer.text for answer in both("GET", "/ended")] == [NO_USER, NO_USER]
            until(lambda: len(service.state.background), len(USERS).__eq__, 30)
        assert dict(service.state.background) == dict.fromkeys(USERS, NO_USER)


class EndlessLLM(ScriptedLLM):
    """Writes word after word until it is released. ``idle`` says that no call is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["released"], self.__dict__["idle"] = threading.Event(), threading.Event()

    def call(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        try:
            while not self.__dict__["released"].wait(0.01):
                self.emit("word ")
            return final("the whole answer")
        finally:
            self.__dict__["idle"].set()

    async def acall(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        try:
            while not self.__dict__["released"].is_set():
                self.emit("word ")
                await asyncio.sleep(0.01)
            return final("the whole answer")
        finally:
            self.__dict__["idle"].set()


@streams
@pytest.mark.parametrize(
    ("start", "is_cancelled"), [pytest.param("akickoff", True, marks=has_akickoff), ("kickoff_async", False)]
)
def test_a_client_that_goes_away_in_the_middle(page: dict[str, Any], start: str, is_cancelled: bool) -> None:
    app = started_by(page, start)
    llm = page["llm"] = EndlessLLM()
    john = {"X-User-Id": "john"}
    crews: list[Crew] = []
    make_crew = page["make_crew"]

    def noting(**options: Any) -> Crew:
        crews.append(make_crew(**options))
        return crews[-1]

    page["make_crew"] = noting
    with Serving(app) as serving:
        asked = {"question": "question: which secret do you know?"}
        with httpx.stream("POST", serving.url + "/stream", params=asked, headers=john, timeout=60) as answer:
            assert "word" in next(answer.iter_text())
        if is_cancelled:
            until(lambda: is_running(crews[0]), False.__eq__, 30)
        assert httpx.get(serving.url + "/memories", headers=john, timeout=60).json() == ["secret-john"], "still serving"
        llm.__dict__["released"].set()
        assert llm.__dict__["idle"].wait(30)
        until(lambda: is_running(crews[0]), False.__eq__, 30)
    with use_scope(user_id="john"):
        kept = [text for text in told(page["memory"]) if "question" in text]
    assert len(kept) == (0 if is_cancelled else 1)


def is_running(crew: Crew) -> bool:
    return bool(leases._leases[id(crew)].runs)


def test_jobs_and_threads(page: dict[str, Any]) -> None:
    with ThreadPoolExecutor(len(USERS)) as pool:
        answers = pool.map(lambda user: (user, page["job"](user, "which secret do you know?")), USERS)
        for user, answer in answers:
            assert answer == f"I know secret-{user}"
    asked = ["first: which secret?", "second: which secret?"]
    assert page["answer_all"]("john", asked) == ["I know secret-john"] * 2
    with pytest.raises(MissingScopeError):
        page["answer"]("hello")
    with ThreadPoolExecutor(1) as pool, use_scope(user_id="john"), pytest.raises(MissingScopeError):
        pool.submit(page["answer"], "hello").result()
