"""MLflow's UI over HTTP, from a server in an environment like the image's."""

import http.client
from collections.abc import Iterator, Mapping
from mimetypes import guess_type
from pathlib import Path

import httpx
import pytest

from mlflow_on_demand.gate import Gate
from mlflow_on_demand.greetings import Greetings
from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.mlflow_facts import ui_dir
from mlflow_on_demand.ui_pack import UiPack
from mlflow_on_demand.ui_page import make_page
from support.hpo_files import TASK, Point, name, run_id, tarball, write_task
from support.packed_ui import PackedEnvironment, make_packed_environment
from support.task_server import HOST, serving

MAIN = f"static/js/{next((ui_dir() / 'static' / 'js').glob('main.*.js')).name}"
CHROMIUM = "gzip, deflate, br, zstd"
FOR_EVER = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> PackedEnvironment:
    return make_packed_environment(tmp_path_factory.mktemp("environment"))


@pytest.fixture(scope="module")
def pack(packed: PackedEnvironment) -> UiPack:
    return packed.pack


@pytest.fixture(scope="module")
def client(packed: PackedEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("task")
    artifacts = write_task(folder / "tarballs", {name(1): tarball(Point(run_id(1), "one"))})
    ingest_task(IngestRequest(TASK, (artifacts,), (folder / "store").as_uri()))
    scratch = str(tmp_path_factory.mktemp("scratch"))
    with (
        serving((folder / "store").as_uri(), scratch, python=packed.python) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers={"Host": server.netloc}) as client,
    ):
        server.until(lambda: server.stage() in ("loading", "ready"))
        yield client


def ask(client: httpx.Client, path: str, accept: str, method: str = "GET", **headers: str) -> httpx.Response:
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    return client.request(method, path, headers={"Accept-Encoding": accept, **names})


@pytest.mark.parametrize("accept", ["br", "gzip", "identity"])
def test_every_file_arrives_as_it_is(client: httpx.Client, pack: UiPack, accept: str) -> None:
    for path in sorted(ui_dir().rglob("*")):
        if path.is_dir():
            continue
        file = path.relative_to(ui_dir()).as_posix()
        answer = ask(client, f"/static-files/{file}", accept)
        assert answer.status_code == 200
        assert answer.content == path.read_bytes(), file
        compressed = file in pack.files and accept != "identity" and accept in pack.files[file].tags
        assert answer.headers.get("content-encoding") == (accept if compressed else None)
        sent = pack.path_of(file, accept) if compressed else path
        assert int(answer.headers["content-length"]) == answer.num_bytes_downloaded == sent.stat().st_size
        assert answer.headers["content-type"].partition(";")[0] == (guess_type(file)[0] or "application/octet-stream")


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        (CHROMIUM, "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0, *", "gzip"),
        ("", None),
        ("deflate", None),
        ("br;q=0", None),
    ],
)
@pytest.mark.parametrize("path", ["/", f"/static-files/{MAIN}"])
def test_negotiation(client: httpx.Client, path: str, accept: str, encoding: str | None) -> None:
    answer = ask(client, path, accept)
    assert (answer.status_code, answer.headers.get("content-encoding")) == (200, encoding)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == (make_page() if path == "/" else (ui_dir() / MAIN).read_bytes())


def test_who_says_nothing_gets_the_file_itself(client: httpx.Client) -> None:
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 0)
    connection.putrequest("GET", f"/static-files/{MAIN}", skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", client.headers["host"])
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.read() == (ui_dir() / MAIN).read_bytes()
    assert (answer.getheader("Content-Encoding"), answer.getheader("Vary")) == (None, "Accept-Encoding")
    connection.close()


def test_who_wants_nothing_that_there_is_hears_what_there_is(client: httpx.Client) -> None:
    answer = ask(client, f"/static-files/{MAIN}", "identity;q=0, deflate")
    assert (answer.status_code, answer.text) == (406, "Offered: br, gzip, identity.")
    assert "cache-control" not in answer.headers


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/", "no-cache"),
        ("/static-files/manifest.json", "no-cache"),
        ("/static-files/favicon.ico", "no-cache"),
        (f"/static-files/{MAIN}", FOR_EVER),
    ],
)
@pytest.mark.parametrize("accept", ["br", "gzip", "identity"])
def test_what_a_browser_has_is_not_sent_again(client: httpx.Client, path: str, kept: str, accept: str) -> None:
    first = ask(client, path, accept)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert first.headers["cache-control"] == kept
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = ask(client, path, accept, If_None_Match=known)
        assert (again.status_code, again.content) == (304, b"")
        assert {key: again.headers[key] for key in ("etag", "cache-control", "vary")} == {
            "etag": tag,
            "cache-control": kept,
            "vary": "Accept-Encoding",
        }
    assert ask(client, path, accept, If_None_Match='"other"').status_code == 200


@pytest.mark.parametrize("path", ["/", f"/static-files/{MAIN}"])
def test_each_form_has_a_tag_of_its_own(client: httpx.Client, path: str) -> None:
    tags = {encoding: ask(client, path, encoding).headers["etag"] for encoding in ("br", "gzip", "identity")}
    assert len({*tags.values()}) == 3
    assert ask(client, path, "gzip", If_None_Match=tags["br"]).status_code == 200


@pytest.mark.parametrize("path", ["/", f"/static-files/{MAIN}", "/static-files/favicon.ico"])
@pytest.mark.parametrize("accept", ["br", "gzip", "identity"])
def test_head_says_what_get_would(client: httpx.Client, path: str, accept: str) -> None:
    head, get = (ask(client, path, accept, method) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (200, b"")
    assert without_date(head.headers) == without_date(get.headers)
    known = ask(client, path, accept, "HEAD", If_None_Match=get.headers["etag"])
    assert known.status_code == 304


def test_a_range_is_one_of_the_file_itself(client: httpx.Client) -> None:
    path, whole = f"/static-files/{MAIN}", (ui_dir() / MAIN).read_bytes()
    tags = {encoding: ask(client, path, encoding).headers["etag"] for encoding in ("br", "identity")}
    part = ask(client, path, CHROMIUM, Range="bytes=100-199")
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert "content-encoding" not in part.headers
    assert part.headers["etag"] == tags["identity"]
    same = ask(client, path, CHROMIUM, Range="bytes=100-199", If_Range=tags["identity"])
    assert (same.status_code, same.content) == (206, whole[100:200])
    # Who has the beginning of the compressed form cannot go on with this one, and gets all of it.
    other = ask(client, path, CHROMIUM, Range="bytes=100-199", If_Range=tags["br"])
    assert (other.status_code, other.content) == (200, whole)
    assert ask(client, path, CHROMIUM, Range=f"bytes={len(whole)}-").status_code == 416


def test_only_mlflows_files_are_served_and_only_read(client: httpx.Client) -> None:
    for path in ("../index.json", "%2e%2e/%2e%2e/__init__.py", "/etc/passwd", "br/index.html", "static", "", "x" * 300):
        assert ask(client, f"/static-files/{path}", "br").status_code == 404, path
    assert client.post(f"/static-files/{MAIN}").status_code == 405


def test_where_nobody_compressed_anything_files_are_served_as_they_are(tmp_path: Path) -> None:
    with serving((tmp_path / "store").as_uri(), str(tmp_path)) as server:
        page = server.ask("GET", "/")
        assert page.status_code == 200
        answer = server.ask("GET", f"/static-files/{MAIN}", {"Accept-Encoding": CHROMIUM})
        assert answer.content == (ui_dir() / MAIN).read_bytes()
        assert (answer.headers.get("content-encoding"), answer.headers["cache-control"]) == (None, FOR_EVER)
        known = {"If-None-Match": answer.headers["etag"]}
        assert server.ask("GET", f"/static-files/{MAIN}", known).status_code == 304


def without_date(headers: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != "date"}


@pytest.mark.parametrize("accept", ["br", "gzip, deflate", CHROMIUM, "identity", None])
def test_what_greets_says_what_the_application_says(client: httpx.Client, pack: UiPack, accept: str | None) -> None:
    greetings = Greetings(Gate(HOST), pack)
    paths = ["/", *(f"/static-files/{file}" for file in sorted(pack.files))]
    answered = set()
    for path in [*paths, "/static-files/none.js", "/static-files/../index.html", "/ready"]:
        headers = {"Host": client.headers["Host"], **({} if accept is None else {"Accept-Encoding": accept})}
        lines = "".join(f"{header}: {value}\r\n" for header, value in headers.items())
        request = f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()
        greeting = greetings.find(request + b"GET /more")
        if greeting is None:
            continue
        assert greeting.asked == len(request)
        head, _, body = greeting.response.partition(b"\r\n\r\n")
        connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port)
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for header in headers.items():
            connection.putheader(*header)
        connection.endheaders()
        theirs = connection.getresponse()
        ours = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert ours.keys() == dict(theirs.getheaders()).keys(), path
        assert {**ours, "date": ""} == {**dict(theirs.getheaders()), "date": ""}
        assert (theirs.status, theirs.read()) == (200, body)
        connection.close()
        answered.add(path)
    if accept in ("identity", None):
        assert answered == set()
    else:
        forms = {encoding.strip() for encoding in accept.split(",")}
        assert answered - {"/"} == {
            f"/static-files/{name}" for name, file in pack.files.items() if forms & set(file.tags)
        }
        assert "/" in answered
