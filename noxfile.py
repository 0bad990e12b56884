"""Everything that is checked, by name: ``nox`` runs all of it; ``nox -l`` lists it.

At the end stands how long each session took, and above that each run's 25 slowest tests.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nox

nox.options.sessions = ["lint", "side_by_side"]
nox.options.stop_on_first_error = True

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
"""Those that the package supports. The whole suite runs on each of them in ``.github/workflows``, where types are
checked for each; dependencies are resolved for each of them everywhere."""

CONTRACT_OF = {"0.203.2": "tests/contract/test_storage.py", "1.10.1": "tests/contract/test_backend.py"}
"""The first CrewAI with each of its storage contracts; the last ones have the whole suite."""

CONSTRAINTS_OF = {"1.10.1": "mem0ai-1.0.11"}
"""Mem0's client and library as they were in 1.x, and half of their tests, are beside this CrewAI. Beside the others is
the newest mem0ai that installs with it: 0.1 beside 1.9.3, and else 2.x."""

UNTIL_UNIFIED = "1.9.3"
"""The last CrewAI of the older generation: everything that knows CrewAI, and Mem0, of which pip picks an older one."""
KNOWS_NO_CREWAI = [
    "tests/server",
    "tests/store",
    "tests/io",
    "tests/layouts",
    "tests/embedding",
    *(
        f"tests/outbox/test_{name}.py"
        for name in (
            *("commands", "disks", "earlier", "expiry", "keys", "kills", "outages", "queue", "random", "random_ends"),
            *("reads", "sender", "serialised", "undo"),
        )
    ),
    *(
        f"tests/recall/test_{name}.py"
        for name in (
            "budget",
            "duplicates",
            "empty",
            "ended_values",
            "every_process",
            "no_news",
            "one_form",
            "opposites",
            "other_things",
            "question",
            "quotes",
            "signs_of_phrases",
            "what_holds",
        )
    ),
    "tests/contract/test_embed_later.py",
    "tests/transfer",
    "tests/maintenance",
    *(
        f"tests/cli/test_{name}.py"
        for name in (
            *(
                "commands",
                "copying",
                "erasing",
                "eval",
                "explaining",
                "first_hour",
                "maintenance",
                "migrating",
                "moving",
                "purging",
            ),
            *("on_a_server", "reading", "reembedding", "statistics", "terminals", "undoing"),
        )
    ),
    "tests/extension/test_contract.py",
    "tests/extension/test_filterable_field.py",
    "tests/extension/test_middleware.py",
    *(
        f"tests/doctor/test_{name}.py"
        for name in ("command", "embedders", "folders", "mem0", "outboxes", "scopes_and_places", "servers", "settings")
    ),
    *(
        f"tests/kit/test_{name}.py"
        for name in ("arguments", "backend_contract", "bad_crews", "outside_project", "processes", "workers")
    ),
    "tests/test_bridge.py",
    "tests/test_config.py",
    "tests/test_docs.py",
    "tests/test_errors.py",
    "tests/test_layers.py",
    "tests/test_scope.py",
    "tests/test_scripts.py",
    "tests/test_server_config.py",
]
"""Qdrant's clients and engines are the same beside every CrewAI: what tests them alone runs on the newest only. Of the
contract, ``tests/contract/conftest.py`` leaves the same out."""

CREWAI = ["0.203.2", "1.0.0", "1.6.1", "1.10.1", "1.12.2", "1.14.7"]
"""One of each shape that CrewAI's memory has had; the newest is in the environment nox runs in."""

OF_CREWS = [
    *("tests/crew", "tests/recall", "tests/mem0", "tests/extension", "tests/outbox/test_crews.py"),
    *("tests/store/test_embedders.py", "tests/test_journey.py"),
]
"""Where tests of crews are: no others are imported only to be left out."""

FAST = [
    *(
        f"tests/test_{name}.py"
        for name in ("scope", "use_scope", "errors", "config", "server_config", "layers", "docs")
    ),
    "tests/io",
    "tests/store/test_both_ways.py",
    "tests/contract/test_store.py",
    "tests/crew/test_crews.py",
]
NOT_FAST = "(server or mem0 or processes or flow or web)"
LEFT_OUT_OF_FAST = (
    "left out: Qdrant servers and clusters, Mem0, crashes and damage, random operations, older layouts, the command "
    "line, programs in processes of their own, most of what crews do, every CrewAI but the one installed here, types"
)

MEMORY_DISK, ENOUGH, ENOUGH_FOR_ALL = Path("/dev/shm"), 4 * 2**30, 12 * 2**30
"""A file system in memory is four times as fast for hundreds of stores, where there is room for them: the whole suite,
with its clusters, has up to 10 GiB there, and any other run less than 2. What is about syncing stays on a disk."""

NEVER_TWICE = [
    *(f"tests/crew/test_{name}.py" for name in ("run_guard", "web_services", "whose_memory")),
    *("tests/contract/test_isolation.py", "tests/server/test_service.py"),
    *("tests/mem0/test_scopes.py", "tests/mem0/test_each_vector_store.py"),
    *("tests/test_canaries.py", "tests/test_use_scope.py"),
]
"""Who sees what: a leak between two users is one, also if it shows in one run of a hundred."""
AGAIN = [
    "--reruns=1",
    "--max-suite-reruns=5",
    "--rerun-show-tracebacks",
    *map("--rerun-exclude-path={}".format, NEVER_TWICE),
]
"""Hundreds of these tests start servers and programs, on machines that do other work: what fails is run once more, and
shown at the end with its traceback if it passed then. ``THOROUGH=1``, the nightly run, takes each failure as one."""
IS_THOROUGH = os.environ.get("THOROUGH", "") not in ("", "0")

HAS_ALL_CREWAI = IS_THOROUGH or bool(os.environ.get("ALL_CREWAI"))
SAMPLE_OF_CREWAI = ["0.203.2", "1.10.1"]
"""The first of each generation. The last ones have a run of their own: 1.9.3 and the newest. All versions run in the
workflow, where they run side by side, and with ``THOROUGH=1``."""

BESIDE = "BESIDE_THE_NEWEST"
"""In the environment of a run that has another one beside it: it has one worker."""

COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""``import crewai`` takes half as long if it was compiled before. One process does so before several workers start."""

_took: list[tuple[str, float, float]] = []


def _used() -> float:
    """Seconds of CPU that this process and everything that it has waited for took."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def timed(run: Callable[..., None]) -> Callable[..., None]:
    """Has a session's time in the table at the end."""

    @functools.wraps(run)
    def session_of(session: nox.Session, *arguments: Any, **options: Any) -> None:
        start, used = time.monotonic(), _used()
        try:
            run(session, *arguments, **options)
        finally:
            _took.append((session.name, time.monotonic() - start, _used() - used))

    return session_of


@atexit.register
def tell_times() -> None:
    if _took:
        total = ("all of them", sum(wall for _, wall, _ in _took), sum(cpu for _, _, cpu in _took))
        lines = [f"{name:26}{wall:8.0f} s{cpu:10.0f} s" for name, wall, cpu in (*_took, total)]
        sys.stderr.write("\n".join([f"{'session':26}{'time':>10}{'CPU time':>12}", *lines, ""]))


def pytest(session: nox.Session, where: str, workers: int = 2, enough: int = ENOUGH) -> list[str]:
    """The options of a run that is called ``where``.

    Each worker imports CrewAI, and starts the servers and the fork servers that it needs: 15 to 20 s of CPU. Many tests
    wait for a server, a process or a disk: there are more workers than a machine of two cores has."""
    clean_up(where)  # of a run that failed or was stopped
    if os.environ.get(BESIDE):
        workers = 1
    # A worker that dies ends the run, which names its test: with another worker in its place, xdist waits for ever for
    # the tests that were to run with that one (--dist loadgroup, 3.8).
    told = ["--durations=25", "--durations-min=0.5", "--max-worker-restart=0", *([] if IS_THOROUGH else AGAIN)]
    # What shares a cluster stays together.
    free = shutil.disk_usage(MEMORY_DISK).free if MEMORY_DISK.is_dir() else 0
    if free >= enough:
        session.log(f"temporary files: in memory ({MEMORY_DISK}, {free // 2**30} GiB free)")
        folder = MEMORY_DISK / f"crewai-memory-{where}"
        return [*told, "-n", f"{workers}", "--dist", "loadgroup", f"--basetemp={folder}"]
    session.log(
        f"temporary files: on disk, which is slower ({MEMORY_DISK} has {free / 2**30:.1f} GiB, not {enough // 2**30})"
    )
    return [*told, "-n", f"{min(workers, 2)}", "--dist", "loadgroup"]


def clean_up(where: str) -> None:
    """What a run has left in memory."""
    shutil.rmtree(MEMORY_DISK / f"crewai-memory-{where}", ignore_errors=True)


def here(session: nox.Session, *command: str) -> None:
    """Run in the environment nox itself runs in, which is installed from ``constraints/newest.txt``."""
    session.run(sys.executable, "-m", *command, external=True, env=COMPILED)


def for_each_python(session: nox.Session, pythons: list[str], *command: str) -> None:
    """Run a command with ``--python-version`` of each of ``pythons``, two at a time."""

    def run(python: str) -> subprocess.CompletedProcess[str]:
        whole = [sys.executable, "-m", *command, "--python-version", python]
        return subprocess.run(whole, capture_output=True, text=True)

    with ThreadPoolExecutor(1 if os.environ.get(BESIDE) else 2) as pool:
        for python, done in zip(pythons, pool.map(run, pythons), strict=True):
            if done.returncode:
                session.error(f"{' '.join(command)} for Python {python}:\n{done.stdout}{done.stderr}")
            session.log(f"{command[0]} for Python {python}: {(done.stdout.strip() or 'fine').splitlines()[-1]}")


def install(session: nox.Session, crewai: str, *constraints: str, extras: str = "test") -> None:
    """Into an environment that an earlier run may have left: ``--exact`` removes what a new one would not have.

    A new environment has nothing compiled. To compile CrewAI takes longer than to import it, and each worker does."""
    pinned = [word for name in constraints for word in ("-c", f"constraints/{name}.txt")]
    session.install("--exact", *pinned, f"crewai=={crewai}", "-e", f".[{extras}]")


@nox.session(venv_backend="none")
@timed
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    here(session, "ruff", "check", ".")
    here(session, "ruff", "format", "--check", ".")


@nox.session(venv_backend="none")
@timed
def types(session: nox.Session) -> None:
    """Strict types of the package, and of its public names as a user writes them, for the oldest Python.

    With ``ALL_PYTHONS`` in the environment, as in the workflow, for each. Nothing in the package asks for a version.
    """
    for_each_python(session, PYTHONS if os.environ.get("ALL_PYTHONS") else PYTHONS[:1], "mypy")


@nox.session(venv_backend="none")
@timed
def resolve(session: nox.Session) -> None:
    """The dependencies have versions that fit together, and to those of the tests, on each Python."""
    extras = [word for extra in ("test", "deployment", "site") for word in ("--extra", extra)]
    told = ["--quiet", "--constraint", "constraints/newest.txt", *extras]
    # The Python itself is not needed: uv would try for ten seconds to download it where it may not.
    to_nowhere = ["--no-header", "--output-file", os.devnull, "--no-python-downloads"]
    for_each_python(session, PYTHONS, "uv", "pip", "compile", "pyproject.toml", *told, *to_nowhere)


@nox.session(venv_backend="none")
@timed
def site(session: nox.Session) -> None:
    """The documentation as a site: every page is in its menu, and every link leads to a page and a heading."""
    quiet = {"NO_MKDOCS_2_WARNING": "1"}
    built = Path(session.create_tmp(), "site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(built)]
    session.run(*command, external=True, env=quiet)


@nox.session(venv_backend="none")
@timed
def tests(session: nox.Session) -> None:
    """The whole suite on the newest CrewAI."""
    session.run(sys.executable, "-c", "import crewai, mem0", external=True, env=COMPILED)
    here(session, "pytest", *pytest(session, "newest", workers=4, enough=ENOUGH_FOR_ALL), *session.posargs)
    clean_up("newest")


@nox.session(venv_backend="none", default=False)
@timed
def fast(session: nox.Session) -> None:
    """A choice of tests for working, in less than 90 seconds: nothing that needs a server."""
    here(session, "pytest", *pytest(session, "fast"), *FAST, "-k", f"not {NOT_FAST}", *session.posargs)
    clean_up("fast")
    session.log(LEFT_OUT_OF_FAST)


LANES = [["types", "suite"], ["resolve", "site", "crews"]]
"""What runs beside ``tests``: the sessions of each lane one after the other."""


@nox.session(venv_backend="none")
@timed
def side_by_side(session: nox.Session) -> None:
    """``tests``, and beside it all others, in two lanes: what they print stands at the end.

    Many tests wait for a server, a process or a disk, and then others work."""
    nox_here = [sys.executable, "-m", "nox", "--no-stop-on-first-error", "--session"]

    def run(lane: list[str]) -> subprocess.CompletedProcess[str]:
        whole = [*nox_here, *lane, "--", *session.posargs]
        environment = {**os.environ, BESIDE: "1"}
        return subprocess.run(whole, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    with ThreadPoolExecutor(len(LANES)) as pool:
        beside = [pool.submit(run, lane) for lane in LANES]
        newest = subprocess.run([*nox_here, "tests", "--", *session.posargs])
    failed = ["tests"] * bool(newest.returncode)
    for lane, done in zip(LANES, beside, strict=True):
        sys.stdout.write(done.result().stdout)
        failed += [f"one of {', '.join(lane)}"] * bool(done.result().returncode)
    if failed:
        session.error(f"{' and '.join(failed)} failed, see above")


@nox.session(venv_backend="uv", reuse_venv=True, default=False)
@timed
def suite(session: nox.Session) -> None:
    """What knows CrewAI on the last one of the older generation, and Mem0 beside it."""
    install(session, UNTIL_UNIFIED, f"crewai-{UNTIL_UNIFIED}")
    left_out = [f"--ignore={path}" for path in KNOWS_NO_CREWAI]
    session.run("pytest", *pytest(session, UNTIL_UNIFIED), *left_out, *session.posargs, env=COMPILED)
    clean_up(UNTIL_UNIFIED)


@nox.session(venv_backend="uv", reuse_venv=True, default=False)
@nox.parametrize("crewai", CREWAI if HAS_ALL_CREWAI else SAMPLE_OF_CREWAI)
@timed
def crews(session: nox.Session, crewai: str) -> None:
    """Crews on every shape of CrewAI. What is long and the same in between is left to the two ends."""
    install(session, crewai, CONSTRAINTS_OF.get(crewai, f"crewai-{crewai}"))
    # A third of the tests on each of the three of a generation; ``tests/conftest.py`` takes it.
    part = {"PART_OF_CREWS": str(CREWAI.index(crewai) % 3)}
    where = [*OF_CREWS, *([CONTRACT_OF[crewai]] if crewai in CONTRACT_OF else [])]
    left_out = [f"--ignore={path}" for path in beside(where)]
    session.run("pytest", *pytest(session, crewai, workers=1), *left_out, *session.posargs, env=COMPILED | part)
    clean_up(crewai)


def beside(kept: list[str], folder: Path = Path("tests")) -> list[Path]:
    """The tests that are not among ``kept``.

    A folder that pytest is told to run has its ``conftest.py`` imported by the process that deals tests out as well,
    and with it the libraries that CrewAI imports. So has each folder in ``tests`` whose name begins with "test"."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if any(path == Path(each) for each in kept):
            continue
        if any(path in Path(each).parents for each in kept):
            found += beside(kept, path)
        elif path.match("test_*.py") or any(path.glob("**/test_*.py")):
            found.append(path)
    return found


CREWAI_BESIDE = {
    "2.2.1": ("1.15.30", "newest"),
    "1.0.11": ("1.10.1", "mem0ai-1.0.11"),
    "0.1.116": ("1.9.3", "crewai-1.9.3"),
}
"""The CrewAI and the constraints of each generation of mem0ai."""


@nox.session(venv_backend="uv", reuse_venv=True, default=False)
@nox.parametrize("mem0", list(CREWAI_BESIDE))
@timed
def vector_stores(session: nox.Session, mem0: str) -> None:
    """Mem0 OSS over each vector store that it is opened with, with real servers and large numbers."""
    crewai, constraints = CREWAI_BESIDE[mem0]
    install(session, crewai, constraints, "vector-stores", extras="test,vector-stores")
    environment = COMPILED | {"VECTOR_STORES": "all", "REQUIRE_VECTOR_STORES": "1"}
    stores = "mem0- and not mem0-oss and not mem0-cloud"
    for tests in (["tests/mem0", "-k", "vector_store"], ["tests/contract", "-k", stores]):
        options = pytest(session, "vector-stores", enough=ENOUGH_FOR_ALL)
        session.run("pytest", *options, *tests, *session.posargs, env=environment)
        clean_up("vector-stores")
