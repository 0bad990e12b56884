"""Two workers at once: over a server they share what they remember; an embedded store is for one of them."""

from __future__ import annotations

import pytest

from crewai_persistent_memory import open_store
from crewai_persistent_memory.testing import assert_shared_by_workers, assert_survives_restart

from ..support.qdrant_server import QdrantServer
from . import crews

pytestmark = [pytest.mark.crew, pytest.mark.ends]


@pytest.fixture
def env(server: QdrantServer, collection: str) -> dict[str, str]:
    given = {"CREWAI_MEMORY_COLLECTION": collection}
    return given if server.key is None else {**given, "QDRANT_API_KEY": server.key}


def test_a_server_is_shared(forked: None, server: QdrantServer, collection: str, env: dict[str, str]) -> None:
    """Whatever the test has stored is gone, and a real user's memories are not."""
    with open_store(url=server.url, collection=collection, user_id="john", api_key=server.key) as store:
        store.add("John likes tea")
        assert_shared_by_workers(crews.by_crew_kwargs, url=server.url, env=env, user_id="john")
        assert [entry.content for entry in store.list()] == ["John likes tea"]


def test_a_test_that_fails_leaves_nothing_either(
    here: None, server: QdrantServer, collection: str, env: dict[str, str]
) -> None:
    with open_store(url=server.url, collection=collection, user_id="john", api_key=server.key) as store:
        store.add("John likes tea")
        with pytest.raises(AssertionError, match="It is stored, and was not found"):
            assert_survives_restart(
                crews.by_crew_kwargs,
                user_id="john",
                url=server.url,
                env=env,
                told="I cannot eat {canary}.",
                asked="Any allergies?",
            )
        assert [entry.content for entry in store.list()] == ["John likes tea"]


def test_a_user_of_its_own_in_each_worker(here: None, server: QdrantServer, env: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match="What the first worker has saved is not in the prompt") as caught:
        assert_shared_by_workers(crews.of_a_random_user_for_each_request, url=server.url, env=env)
    assert "the scope changes from call to call" in str(caught.value)


def test_an_embedded_store_is_not_shared(forked: None, tmp_path: object) -> None:
    with pytest.raises(AssertionError, match="Two workers cannot have this store open at once") as caught:
        assert_shared_by_workers(crews.by_crew_kwargs, path=f"{tmp_path}/store")
    assert "run a Qdrant server, and give its url=" in str(caught.value)


def test_another_server_than_the_tests(here: None, server: QdrantServer) -> None:
    with pytest.raises(AssertionError, match="Nothing was remembered there"):
        assert_shared_by_workers(crews.in_a_folder_of_its_own, url=server.url)
