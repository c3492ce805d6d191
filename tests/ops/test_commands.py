"""The program from outside: what it prints where, how it ends, and that nothing of it stays."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ops.conftest import PROGRAM, Ops, run
from support.answering import answering

SAMPLE = 30456789
DEAD = """
apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}, {name: b, context: {cluster: a, user: a, namespace: elsewhere}}]
clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: a, user: {token: secret-of-mine}}]
"""


@pytest.fixture
def dead(tmp_path: Path) -> str:
    """A kubeconfig of a cluster that does not answer."""
    path = tmp_path / "kubeconfig"
    path.write_text(DEAD)
    return str(path)


def test_help_is_quick_to_load_and_tells_the_exit_codes() -> None:
    said = run("--help")
    assert said.returncode == 0
    assert "Exit codes: 0 all is well" in said.stdout
    heavy = "{'kubernetes', 'requests', 'boto3', 'pydantic', 'rich', 'mlflow'} & set(sys.modules)"
    probe = f"import sys, bigpanda_ops.main; sys.exit(str({heavy}) if {heavy} else 0)"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False).stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["frobnicate"], 2, "No such command"),
        (["doctor"], 2, "Missing argument"),
        (["doctor", "0"], 2, "jeditaskid"),
        (["doctor", "99999999999"], 2, "jeditaskid"),
        (["send", "visualize", "--data", "/nowhere"], 2, "--data cannot be read: /nowhere: No such file"),
        (["send", "release", "--data", "-"], 2, "--data is no JSON: -"),
        (["send", "results"], 2, "jeditaskid: Field required"),
        (["send", "visualize", "1", "--minimize", "a", "--maximize", "b"], 2, "either --minimize or --maximize"),
        (
            ["send", "image-published", "--image", "mlflow:latest", "--mlflow", "3.18.0"],
            2,
            "image: String should match",
        ),
        (["tasks", "--state", "sleeping"], 2, "--state is one of ready, pending, failed, not sleeping"),
        (["tasks"], 3, "the cluster's API cannot be reached"),
        (["doctor", "1"], 3, "the cluster's API cannot be reached"),
        (["rollout", "status"], 3, "the cluster's API cannot be reached"),
        (["--context", "nobody", "tasks"], 3, "no credentials for the cluster"),
        (["--kubeconfig", "/nowhere", "tasks"], 3, "no credentials for the cluster"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_a_code(dead: str, arguments: list[str], code: int, words: str) -> None:
    said = run(*arguments, stdin="no json", KUBECONFIG=dead)
    assert said.returncode == code
    assert words in said.stderr
    assert said.stdout == ""
    assert "Traceback" not in said.stderr
    assert "secret-of-mine" not in said.stderr


def test_without_any_kubeconfig_a_make_run_beside_it_is_found(ops: Ops, tmp_path: Path) -> None:
    assert run("tasks", HOME=str(tmp_path)).returncode == 3
    (tmp_path / ".state").symlink_to(ops.state)
    found = subprocess.run(
        [PROGRAM, "tasks", "--json"], cwd=tmp_path, env={"HOME": str(tmp_path)}, capture_output=True, check=True
    )
    assert SAMPLE in [row["jeditaskid"] for row in json.loads(found.stdout)]


def test_tasks_are_rows_for_people_and_objects_for_scripts(ops: Ops) -> None:
    rows = json.loads(ops.run("tasks", "--json").stdout)
    (row,) = (row for row in rows if row["jeditaskid"] == SAMPLE)
    expiry = row.pop("expires_at")
    assert row == {
        "jeditaskid": SAMPLE,
        "owner": "laptop",
        "state": "ready",
        "url": ops.laptop.url(f"task-{SAMPLE}"),
        "revision": f"task-{SAMPLE}-00001",
        "image": "bigpanda-mlflow/mlflow",
        "runs": 47,
        "points": 47,
    }
    (line,) = (line for line in ops.run("tasks").stdout.splitlines() if line.startswith(str(SAMPLE)))
    assert line.split()[:5] == [str(SAMPLE), "laptop", "ready", "47", "47"]
    assert expiry.startswith(line.split()[5])
    assert json.loads(ops.run("tasks", "--json", "--owner", "nobody").stdout) == []
    assert ops.run("tasks", "--state", "failed", "--owner", "laptop").stdout == "No task is like that.\n"


def test_an_event_by_options_or_by_file_and_its_outcome(ops: Ops, tmp_path: Path) -> None:
    data = {"owner": "file", "artifacts": ["s3://panda/31/"], "lifetime": "PT1H"}
    said = ops.run("send", "visualize", "31", "--data", "-", "--json", stdin=json.dumps(data))
    outcome = json.loads(said.stdout)
    assert (said.returncode, outcome["outcome"]) == (0, "ch.cern.bigpanda.service.ready")
    assert outcome["data"]["url"] == ops.laptop.url("task-31")
    file = tmp_path / "data.json"
    file.write_text(json.dumps({"jeditaskid": 30, **data}))
    said = ops.run("send", "visualize", "31", "--data", str(file), "--lifetime", "PT2H", "--owner", "option")
    assert said.stdout.startswith("Task 31 is ready until ")
    (row,) = json.loads(ops.run("tasks", "--json", "--owner", "option").stdout)
    assert row["jeditaskid"] == 31
    assert ops.run("send", "results", "31").stdout.startswith("Accepted: event ")
    assert ops.run("send", "release", "31").stdout == "Task 31 has no page any more: released\n"


def test_without_a_good_token_nothing_is_sent(ops: Ops, tmp_path: Path) -> None:
    token = tmp_path / "token"
    for content, code, words in [
        (None, 2, "the token cannot be read"),
        ("", 2, "no token for the front door"),
        ("two words", 2, "is no bearer token"),
        ("guessed", 3, "a bearer token of this deployment is needed"),
        ((ops.state / "front-token").read_text(), 3, "events of this type need an operator's token"),
    ]:
        if content is not None:
            token.write_text(content)
        image = f"x/mlflow@sha256:{'2' * 64}"
        said = ops.run("--token-file", str(token), "send", "image-published", "--image", image, "--mlflow", "3.18.0")
        assert (said.returncode, words in said.stderr) == (code, True), said.stderr
        assert content is None or len(content) < 9 or content not in said.stderr
    said = ops.run("--front", "http://127.0.0.1:1", "send", "release", "31", BIGPANDA_TOKEN="x")
    assert (said.returncode, "nothing listens there" in said.stderr) == (3, True)


@pytest.fixture
def silent() -> Iterator[tuple[str, threading.Event]]:
    """A front door that never answers, and whether it was asked."""
    asked, released = threading.Event(), threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.set()
            released.wait()

        def log_message(self, *_: object) -> None:
            pass

    with answering(ThreadingHTTPServer(("127.0.0.1", 0), Silent)) as server:
        yield f"http://127.0.0.1:{server.server_port}", asked
        released.set()


def test_ctrl_c_ends_it_at_once_and_quietly(silent: tuple[str, threading.Event]) -> None:
    url, asked = silent
    environment = {**os.environ, "BIGPANDA_TOKEN": "x"}
    command = [PROGRAM, "--front", url, "send", "release", "1"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert asked.wait(30)
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (said, b"Traceback" in complained) == (b"", False)


def test_colour_is_for_terminals_that_want_it(ops: Ops) -> None:
    assert "\x1b[" not in ops.run("doctor", "404").stdout
    plain, coloured = (in_terminal(ops, **extra) for extra in ({"NO_COLOR": "1"}, {}))
    assert "WRONG" in plain
    assert "\x1b[" in coloured
    assert "\x1b[31m" not in plain
    assert "\x1b[1;31m" in coloured


def in_terminal(ops: Ops, **extra: str) -> str:
    """What the doctor writes to a terminal."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "KUBECONFIG": str(ops.laptop.kubeconfig), "TERM": "xterm-256color", **extra}
    done = subprocess.run([PROGRAM, "doctor", "404"], env=environment, stdout=follower, check=False, timeout=60)
    os.close(follower)
    assert done.returncode == 1
    written = b""
    try:
        while chunk := os.read(leader, 4096):
            written += chunk
    except OSError:  # Linux says so where the other end is closed
        pass
    os.close(leader)
    return written.decode()
