"""Faults of a Qdrant server, its key and its address, and replicas that have different ones."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from crewai_persistent_memory import open_store
from crewai_persistent_memory.doctor.server import _about

from ..support.qdrant_server import QdrantServer, free_ports, newest
from .conftest import Look

KEY = "an-admin-key-of-the-doctor-0123456789"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    """A server that wants a key, and takes tokens."""
    settings = {"SERVICE__JWT_RBAC": "true"}
    started = QdrantServer(newest(), tmp_path_factory.mktemp("guarded"), settings=settings, key=KEY).start()
    with open_store(url=started.url, api_key=KEY, embedder=None, user_id="john", durability="store") as store:
        store.add("John likes tea")
    yield started
    started.stop()


class TestKeys:
    def test_the_right_one(self, look: Look, guarded: QdrantServer) -> None:
        report = look(url=guarded.url, api_key=KEY, durability="store", also=("second process",))
        assert report.bad == []
        assert "a second process" in report.of("second process", "ok")
        assert KEY not in report.text

    @pytest.mark.parametrize("key", [None, "a-wrong-key-0123456789"])
    def test_a_wrong_one(self, look: Look, guarded: QdrantServer, key: str | None) -> None:
        report = look(url=guarded.url, api_key=key, durability="store")
        assert "did not permit" in report.of("store", "error")
        assert report.of("server", "ok", "note")
        assert "a-wrong-key" not in report.text

    def test_one_that_may_only_read(self, look: Look, guarded: QdrantServer) -> None:
        token = jwt.encode({"access": "r"}, KEY, algorithm="HS256")
        report = look(url=guarded.url, api_key=token, durability="store")
        assert report.of("store", "ok")
        assert "the key may read, and not write" in report.of("write", "error")
        assert token not in report.text

    def test_one_of_this_collection_only(self, look: Look, guarded: QdrantServer) -> None:
        access = [{"collection": "crewai_memory", "access": "rw"}]
        token = jwt.encode({"access": access}, KEY, algorithm="HS256")
        assert look(url=guarded.url, api_key=token, durability="store").bad == []

    def test_of_another_address(self, look: Look, guarded: QdrantServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QDRANT_URL", "https://qdrant.example.com")
        monkeypatch.setenv("QDRANT_API_KEY", KEY)
        report = look(url=guarded.url, durability="store")
        found = report.of("keys", "warning")
        assert f"QDRANT_API_KEY is not sent to {guarded.url}" in found
        assert "https://qdrant.example.com" in found
        assert report.of("store", "error")
        assert KEY not in report.text

    def test_without_an_address(self, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QDRANT_API_KEY", KEY)
        assert "no server is used" in look().of("keys", "warning")

    @pytest.mark.parametrize("grpc", [False, True])
    def test_one_with_a_line_break(self, look: Look, guarded: QdrantServer, grpc: bool) -> None:
        about: Any = {"prefer_grpc": grpc, "grpc_port": guarded.grpc_port, "durability": "store"}
        report = look(url=guarded.url, api_key=f"{KEY}\n", **about)
        assert "blanks or line breaks" in report.of("keys", "error")
        assert report.of("store", "error")
        assert KEY not in report.text

    def test_over_grpc(self, look: Look, guarded: QdrantServer) -> None:
        about: Any = {"prefer_grpc": True, "grpc_port": guarded.grpc_port, "durability": "store"}
        assert look(url=guarded.url, api_key=KEY, **about, also=("second process",)).bad == []


class TestAServerThatIsAway:
    def test_killed(self, look: Look, own_server: QdrantServer, tmp_path: Path) -> None:
        own_server.kill()
        start = time.monotonic()
        report = look(url=own_server.url, outbox_path=tmp_path / "outbox", also=("second process", "external_memory"))
        assert time.monotonic() - start < 15, "10 on an idle machine"
        assert "cannot be reached" in report.of("store", "error")
        assert "Meanwhile writes wait in the outbox" in report.of("store", "error")
        assert "nothing accepts connections" in report.of("server", "error")

    def test_stopped(self, look: Look, own_server: QdrantServer) -> None:
        own_server.pause()
        report = look(url=own_server.url, durability="store")
        own_server.resume()
        assert report.of("store", "error")
        assert "accepts connections and does not answer" in report.of("server", "error")

    def test_one_node_of_several(self, look: Look, server: QdrantServer, collection: str) -> None:
        [port] = free_ports(1)
        urls = [server.url, f"http://127.0.0.1:{port}"]
        with open_store(url=urls, collection=collection, embedder=None, durability="store", user_id="john") as store:
            store.add("John likes tea")
            report = look(store)
        assert report.of("store", "ok")
        assert f"nothing accepts connections at 127.0.0.1:{port}" in report.of("server", "error")

    def test_one_that_speaks_tls_is_stopped(self, look: Look, own_server: QdrantServer) -> None:
        own_server.pause()
        report = look(url=own_server.url.replace("http", "https"), durability="store")
        own_server.resume()
        assert "accepts connections and does not answer" in report.of("server", "error")

    def test_a_collection_for_each_project(self, look: Look, own_server: QdrantServer) -> None:
        about: Any = {"url": own_server.url, "collection_per_project": True, "durability": "store"}
        with open_store(**about, embedder=None, user_id="john", project_id="production") as store:
            store.add("John likes tea")
        assert look(**about, project_id="production", also=("second process",)).bad == []
        report = look(**about, project_id="staging")
        assert "no store yet" in report.of("store", "note")
        assert "collection crewai_memory_production-" in report.of("nearby", "warning")
        with own_server.admin() as admin:
            assert len(admin.get("/collections").json()["result"]["collections"]) == 1, "none is made"

    def test_no_name(self, look: Look) -> None:
        report = look(url="http://qdrant.invalid:6333", durability="store")
        assert "qdrant.invalid:6333" in report.of("server", "error")


class TestTls:
    def test_with_its_ca(self, look: Look, secured: tuple[QdrantServer, Path]) -> None:
        server, ca = secured
        with open_store(url=server.url, ca_cert=ca, embedder=None, durability="store", user_id="john") as store:
            store.add("John likes tea")
            assert look(store, also=("second process",)).bad == []

    def test_http_to_it(self, look: Look, secured: tuple[QdrantServer, Path]) -> None:
        url = secured[0].url.replace("https", "http")
        assert "the server there speaks TLS" in look(url=url, durability="store").of("server", "error")

    def test_https_to_a_plain_one(self, look: Look, server: QdrantServer) -> None:
        url = server.url.replace("http", "https")
        assert "does not speak TLS" in look(url=url, durability="store").of("server", "error")

    def test_a_certificate_of_an_unknown_ca(self, look: Look, secured: tuple[QdrantServer, Path]) -> None:
        report = look(url=secured[0].url, durability="store")
        assert "is not trusted" in report.of("server", "error")


class TestSomethingElseAtTheAddress:
    @pytest.fixture
    def page(self) -> Iterator[str]:
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<html>welcome</html>")

            def log_message(self, *args: Any) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as served:
            threading.Thread(target=served.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{served.server_port}"
            served.shutdown()

    def test_a_web_page(self, look: Look, page: str) -> None:
        report = look(url=page, durability="store")
        assert report.of("store", "error")
        assert "is no Qdrant (status 200)" in report.of("server", "error")

    def test_an_old_qdrant(self) -> None:
        """No binary is kept of it."""
        answer = httpx.Response(200, json={"title": "qdrant - vector search engine", "version": "1.9.2"})
        assert "1.15 or later is needed" in _about("http://127.0.0.1:6333", answer).found

    def test_a_collection_that_is_no_memory(self, look: Look, server: QdrantServer, collection: str) -> None:
        with server.admin() as admin:
            vectors = {"vectors": {"size": 4, "distance": "Cosine"}}
            admin.put(f"/collections/{collection}", json=vectors).raise_for_status()
        report = look(url=server.url, collection=collection, durability="store")
        assert "is no memory of this package" in report.of("store", "error")


class TestReplicas:
    def test_two_servers(self, look: Look, server: QdrantServer, collection: str, own_server: QdrantServer) -> None:
        about: Any = {"collection": collection, "embedder": None, "durability": "store", "user_id": "john"}
        for url in (server.url, own_server.url):
            with open_store(url=url, **about) as store:
                store.add("John likes tea")
        report = look(url=server.url, **about, peer=own_server.url)
        assert f"is not found through {own_server.url}: it answers, and does not have it" in report.of("peer", "error")
        assert report.of("deletion", "ok")

    def test_a_server_without_the_collection(
        self, look: Look, server: QdrantServer, collection: str, own_server: QdrantServer
    ) -> None:
        about: Any = {"collection": collection, "embedder": None, "durability": "store", "user_id": "john"}
        with open_store(url=server.url, **about) as store:
            store.add("John likes tea")
        report = look(url=server.url, **about, peer=own_server.url)
        assert "there is no such store" in report.of("peer", "error")
        with own_server.admin() as admin:
            assert admin.get("/collections").json()["result"]["collections"] == [], "none is made"

    def test_one_server_by_two_names(self, look: Look, server: QdrantServer, collection: str) -> None:
        about: Any = {"collection": collection, "embedder": None, "durability": "store", "user_id": "john"}
        with open_store(url=server.url, **about) as store:
            store.add("John likes tea")
        report = look(url=server.url, **about, peer=server.url.replace("127.0.0.1", "localhost"))
        assert "is found through" in report.of("peer", "ok")
        assert report.bad == []

    def test_two_folders(self, look: Look, tmp_path: Path) -> None:
        for name in ("one", "two"):
            with open_store(path=tmp_path / name, embedder=None, user_id="john") as store:
                store.add("John likes tea")
        assert "different stores" in str(look(path=tmp_path / "one", peer=str(tmp_path / "two")).bad[0].remedy)
        assert look(path=tmp_path / "one", peer=str(tmp_path / "one")).bad == []

    def test_the_key_is_not_sent_to_another_address(
        self, look: Look, guarded: QdrantServer, own_server: QdrantServer, tmp_path: Path
    ) -> None:
        with own_server.admin() as admin:
            admin.get("/").raise_for_status()
        seen: list[Any] = []

        class Listening(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(dict(self.headers))
                self.send_response(401)
                self.end_headers()

            do_POST = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listening) as served:
            threading.Thread(target=served.serve_forever, daemon=True).start()
            peer = f"http://127.0.0.1:{served.server_port}"
            about: Any = {"url": guarded.url, "api_key": KEY, "durability": "store"}
            report = look(**about, peer=peer)
            assert "does not accept the key" in report.of("peer", "error")
            assert seen
            assert KEY not in str(seen)
            look(**about, peer=peer, peer_api_key="the-key-of-the-peer")
            assert "the-key-of-the-peer" in str(seen)
            served.shutdown()

    def test_nothing_there(self, look: Look, tmp_path: Path) -> None:
        with open_store(path=tmp_path / "one", embedder=None, user_id="john") as store:
            store.add("John likes tea")
        assert "cannot be read" in look(path=tmp_path / "one", peer="http://127.0.0.1:9").of("peer", "error")
        assert "cannot be read" in look(path=tmp_path / "one", peer="ftp://nowhere").of("peer", "error")


def test_the_key_goes_without_tls_to_another_machine(look: Look) -> None:
    report = look(url="http://192.0.2.1:6333", api_key=KEY, durability="store", startup_timeout=0.1)
    assert report.of("store", "error")
    assert KEY not in report.text
