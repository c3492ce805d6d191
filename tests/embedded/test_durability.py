"""What survives: a restart, kill -9, a second runtime, a port that is taken."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from embedded.kit import Cluster, alive, eventing, eventually, make_service, ready, services, write_images

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
ASLEEP = {"autoscaling.knative.dev/initial-scale": "0"}
EVENT = {"ce-specversion": "1.0", "ce-source": "/test", "ce-type": "t", "content-type": "application/json"}
MakeCluster = Callable[[], Cluster]


def test_a_restart_keeps_objects_urls_and_stones(make_cluster: MakeCluster) -> None:
    first = make_cluster()
    before = first.serve("lasting", annotations=ASLEEP)
    first.create(services(), make_service("ended", annotations=ASLEEP))
    first.api.delete(f"{services()}/ended")
    eventually(lambda: first.fetch("ended").json()["reason"] == "Ended")
    for name in ("a", "b"):
        first.create(CONFIG_MAPS, {"metadata": {"name": name}})
    token = first.get(f"{CONFIG_MAPS}?limit=1")["metadata"]["continue"]
    first.create(CONFIG_MAPS, {"metadata": {"name": "c"}})
    version = first.get(services())["metadata"]["resourceVersion"]
    first.stop()
    assert first.process.returncode == 0
    assert not (first.state / "endpoints.json").exists()
    second = make_cluster()
    endpoints = {key: value for key, value in second.endpoints.items() if key != "pid"}
    assert endpoints == {key: value for key, value in first.endpoints.items() if key != "pid"}
    assert second.kubeconfig == first.kubeconfig
    after = second.get(f"{services()}/lasting")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["url"] == before["status"]["url"]
    assert second.fetch("lasting").status_code == 200
    assert second.fetch("ended").json()["reason"] == "Ended"
    made = second.create(CONFIG_MAPS, {"metadata": {"name": "newer"}})
    assert int(made["metadata"]["resourceVersion"]) > int(version)
    watched = second.api.get(services(), params={"watch": "true", "resourceVersion": "1"})
    listed = second.api.get(CONFIG_MAPS, params={"limit": "1", "continue": token})
    assert [(old.status_code, old.json()["reason"]) for old in (watched, listed)] == [(410, "Expired")] * 2


def test_a_gentle_end_leaves_no_process(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    cluster.serve("familial", env={"CHILD": "yes"})
    pid = cluster.fetch("familial").json()["pid"]
    children = subprocess.run(["ps", "-o", "pid=", "-g", str(pid)], capture_output=True, text=True, check=False)
    family = [int(one) for one in children.stdout.split()]
    assert len(family) == 2
    cluster.stop()
    assert [one for one in family if alive(one)] == []


def test_kill_9_leaves_no_process(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    cluster.serve("orphaned", env={"CHILD": "yes"})
    pid = cluster.fetch("orphaned").json()["pid"]
    children = subprocess.run(["ps", "-o", "pid=", "-g", str(pid)], capture_output=True, text=True, check=False)
    family = [int(one) for one in children.stdout.split()]
    cluster.stop(signal.SIGKILL)
    following = make_cluster()
    eventually(lambda: not [one for one in family if alive(one)])
    assert list((following.state / "pods").iterdir()) == []
    assert following.pods("orphaned") == []
    assert following.fetch("orphaned").json()["pid"] not in family


def make_trigger(path: str, **delivery: Any) -> dict[str, Any]:
    reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "receiver"}
    spec = {"broker": "main", "subscriber": {"ref": reference, "uri": path}}
    return {"metadata": {"name": "all"}, "spec": spec | ({"delivery": delivery} if delivery else {})}


def test_accepted_events_survive_kill_9(make_cluster: MakeCluster) -> None:
    first = make_cluster()
    first.serve("receiver", image="test/receiver", annotations=ASLEEP)
    first.create(eventing("brokers"), {"metadata": {"name": "main"}})
    first.create(eventing("triggers"), make_trigger("/slow"))
    eventually(lambda: ready(first.get(f"{eventing('triggers')}/all")))
    accepted = []
    for number in range(20):
        answer = first.internal.post("/default/main", headers={**EVENT, "ce-id": str(number)}, content=b"{}")
        assert answer.status_code == 202
        accepted.append(str(number))
    first.stop(signal.SIGKILL)
    second = make_cluster()

    def arrived() -> set[str]:
        return {one["headers"]["ce-id"] for one in second.received}

    eventually(lambda: arrived() == set(accepted))


def start(state: Path, images: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "knative_embedded", "--state", str(state), "--images", str(images), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


FREE = ("--ingress-port", "0", "--internal-port", "0", "--api-port", "0")


def test_a_second_runtime_is_refused(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    refused = start(cluster.state, cluster.images, *FREE)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"knative_embedded: {cluster.state} is in use by another runtime (pid {cluster.process.pid})\n"
    )


def test_a_taken_port_is_named_with_its_flag(tmp_path: Path) -> None:
    images = write_images(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = start(tmp_path / "state", images, *FREE[:4], "--api-port", str(port))
    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in refused.stderr
    assert "--api-port" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_bad_image_file_is_named(tmp_path: Path) -> None:
    images = tmp_path / "images.toml"
    images.write_text('["a/b"]\nentrypoint = "text"\n')
    refused = start(tmp_path / "state", images, *FREE)
    assert refused.returncode == 1
    assert '["a/b"]: entrypoint is a list of texts' in refused.stderr


def test_what_is_written_is_for_its_owner_only(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    for name in ("kubeconfig", "tls/token", "tls/server-key.pem"):
        assert (cluster.state / name).stat().st_mode & 0o077 == 0
    assert (cluster.state.stat().st_mode & 0o077) == 0
    assert os.getpid() != cluster.endpoints["pid"] == cluster.process.pid
