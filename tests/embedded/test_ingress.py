"""Requests through the two listeners: what is passed on untouched, what is added, and who is turned away."""

import pytest

from embedded.kit import Cluster, eventually, services

ASLEEP = {"autoscaling.knative.dev/initial-scale": "0"}


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Cluster:
    cluster.serve("open")
    cluster.serve("private", labels={"networking.knative.dev/visibility": "cluster-local"})
    return cluster


def test_headers_on_the_way_in(served: Cluster) -> None:
    sent = {"x-mine": "1", "connection": "x-hop", "x-hop": "2", "x-forwarded-for": "10.0.0.1", "te": "trailers"}
    said = served.fetch("open", "/a%20b?q=%2F&&z", headers=sent).json()
    assert said["path"] == "/a%20b?q=%2F&&z"
    headers = {name.lower(): value for name, value in said["headers"]}
    assert headers["host"] == "open.default.localhost"
    assert headers["x-mine"] == "1"
    assert headers["x-forwarded-for"] == "10.0.0.1, 127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-host"] == "open.default.localhost"
    assert headers["forwarded"] == "for=127.0.0.1;host=open.default.localhost;proto=http"
    assert not {"x-hop", "te"} & set(headers)


def test_bodies_go_both_ways(served: Cluster) -> None:
    body = bytes(range(256)) * 2000
    assert served.fetch("open", method="POST", content=body).json()["body"].encode("latin-1") == body
    pieces = (body[start : start + 10_000] for start in range(0, len(body), 10_000))
    assert served.fetch("open", method="PUT", content=pieces).json()["body"].encode("latin-1") == body
    assert served.fetch("open", method="POST").json()["body"] == ""
    assert served.fetch("open", method="HEAD").content == b""


def test_answers_come_untouched(served: Cluster) -> None:
    moved = served.fetch("open", "/redirect")
    assert (moved.status_code, moved.headers["location"]) == (302, "/elsewhere")
    headers = {"host": "open.default.localhost"}
    with served.web.stream("GET", "/bytes", headers=headers) as packed:
        assert packed.headers["content-encoding"] == "br"
        assert b"".join(packed.iter_raw()) == bytes(range(256)) * 4096
    assert served.fetch("open", "/stream").text == "0\n1\n2\n"


def test_an_abandoned_stream_ends_in_the_pod(served: Cluster) -> None:
    with served.web.stream("GET", "/forever", headers={"host": "open.default.localhost"}) as endless:
        assert next(endless.iter_raw()).startswith(b"tick")
    log = served.state / "logs" / "default" / "open-00001.log"
    eventually(lambda: "forever ended" in log.read_text())


@pytest.mark.parametrize("host", ["open.default.localhost", "OPEN.default.localhost:8080", "open.default.localhost."])
def test_hosts_that_are_served_outside(served: Cluster, host: str) -> None:
    assert served.web.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "127.0.0.1", "nobody.default.localhost", "open.default.example.org"),
        *("a.open.default.localhost", "private.default.localhost", "open.default.svc.cluster.local", "open.default"),
    ],
)
def test_hosts_that_are_unknown_outside(served: Cluster, host: str) -> None:
    page = served.web.get("/", headers={"host": host, "accept": "text/html,*/*"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "noindex" in page.headers["x-robots-tag"]
    assert served.web.get("/", headers={"host": host}).json()["reason"] == "NotFound"


@pytest.mark.parametrize("suffix", [".svc.cluster.local", ".svc", "", ".svc.cluster.local:80"])
@pytest.mark.parametrize("name", ["open", "private"])
def test_hosts_that_are_served_inside(served: Cluster, name: str, suffix: str) -> None:
    assert served.internal.get("/", headers={"host": f"{name}.default{suffix}"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example.org", "open.default.localhost", "nobody.default.svc", "10.0.0.1"])
def test_hosts_that_are_unknown_inside(served: Cluster, host: str) -> None:
    assert served.internal.get("/", headers={"host": host}).status_code == 404


def test_urls_say_where_a_service_is_seen(served: Cluster) -> None:
    private = served.get(f"{services()}/private")["status"]
    assert private["url"] == private["address"]["url"] == "http://private.default.svc.cluster.local"


def test_where_a_service_stood_a_page_says_that_it_has_ended(cluster: Cluster) -> None:
    cluster.serve("gone", annotations=ASLEEP)
    cluster.api.delete(f"{services()}/gone")
    eventually(lambda: cluster.fetch("gone").json().get("reason") == "Ended")
    page = cluster.fetch("gone", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "This page has ended" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "prefers-color-scheme" in page.text
    cluster.serve("gone", annotations=ASLEEP)
    assert cluster.fetch("gone").status_code == 200
