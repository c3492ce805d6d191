"""What the API server's refusals become, against a server that refuses."""

import http.server
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Response
from kubernetes import client

from bigpanda_mlflow.answers import answer
from bigpanda_mlflow.cluster import Cluster
from bigpanda_mlflow.errors import ClusterConflict, FunctionError, Permanent, Transient
from support.answering import answering

SENTENCE = (
    'services.serving.knative.dev is forbidden: User "system:serviceaccount:bigpanda:visualize" cannot create resource'
    ' "services" in API group "serving.knative.dev" in the namespace "bigpanda"'
)
SERVICE = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "task-1"}}


class ApiServer(http.server.ThreadingHTTPServer):
    """Answers every POST with `status` and an object Status."""

    status = 403

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Refuse)


class Refuse(http.server.BaseHTTPRequestHandler):
    """What the API server says when it says no."""

    server: ApiServer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"kind": "Status", "code": self.server.status, "message": SENTENCE}).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with answering(ApiServer()) as found:
        yield found


@pytest.fixture
def cluster(server: ApiServer) -> Iterator[Cluster]:
    configuration = client.Configuration(host=f"http://127.0.0.1:{server.server_address[1]}")
    with client.ApiClient(configuration) as api:
        yield Cluster(api, "bigpanda")
        api.rest_client.pool_manager.clear()


@pytest.mark.parametrize(
    ("status", "expected", "said"),
    [
        (400, Permanent, "the cluster refuses it: "),
        (403, Transient, "the cluster forbids it, until an operator allows it: "),
        (404, ClusterConflict, ""),
        (409, ClusterConflict, ""),
        (422, Permanent, "the cluster refuses it: "),
        (429, Transient, "the cluster's API answered 429: "),
        (500, Transient, "the cluster's API answered 500: "),
    ],
)
def test_a_refusal_is_passing_or_not_and_keeps_the_servers_sentence(
    server: ApiServer, cluster: Cluster, status: int, expected: type[FunctionError], said: str
) -> None:
    server.status = status
    with pytest.raises(expected) as refusal:
        cluster.create_service(SERVICE)
    assert str(refusal.value) == said + SENTENCE


def test_a_missing_right_is_named_in_the_answer_and_in_the_log(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    def work() -> Response:
        cluster.create_service(SERVICE)
        return Response(status=204)

    refused = answer(work)
    assert refused.status_code == 503
    assert SENTENCE in json.loads(refused.get_data())["error"]
    assert SENTENCE in caplog.text
