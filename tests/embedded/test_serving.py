"""Services as users know them: Revisions, wakes, sleep, replacement, and plain words when something is wrong."""

import concurrent.futures
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from embedded.kit import Cluster, alive, condition, eventually, make_service, ready, services

ASLEEP = {"autoscaling.knative.dev/initial-scale": "0"}
BRIEF = {"autoscaling.knative.dev/window": "6s"}
MERGE = {"content-type": "application/merge-patch+json"}
REVISIONS = "/apis/serving.knative.dev/v1/namespaces/default/revisions"


def test_a_service_becomes_ready_with_its_children(cluster: Cluster) -> None:
    service = cluster.serve("whole", labels={"team": "a"})
    port = cluster.endpoints["ingress"].rpartition(":")[2]
    url = f"http://whole.default.localhost:{port}"
    status = service["status"]
    assert {key: value for key, value in status.items() if key != "conditions"} == {
        "observedGeneration": 1,
        "url": url,
        "address": {"url": "http://whole.default.svc.cluster.local"},
        "traffic": [{"revisionName": "whole-00001", "latestRevision": True, "percent": 100}],
        "latestCreatedRevisionName": "whole-00001",
        "latestReadyRevisionName": "whole-00001",
    }
    assert [one["type"] for one in status["conditions"]] == ["ConfigurationsReady", "Ready", "RoutesReady"]
    revision = cluster.get(f"{REVISIONS}/whole-00001")
    labels = revision["metadata"]["labels"]
    assert labels["serving.knative.dev/service"] == labels["serving.knative.dev/configuration"] == "whole"
    assert labels["serving.knative.dev/serviceUID"] == service["metadata"]["uid"]
    assert labels["serving.knative.dev/configurationGeneration"] == "1"
    (owner,) = revision["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Configuration", "whole", True)
    assert revision["spec"] == service["spec"]["template"]["spec"]
    assert {"team": "a"}.items() <= cluster.get(f"{services()}/whole")["metadata"]["labels"].items()


def test_defaults_are_filled_in(cluster: Cluster) -> None:
    made = cluster.create(services(), make_service("defaulted", annotations=ASLEEP))
    spec = made["spec"]["template"]["spec"]
    (container,) = spec.pop("containers")
    assert spec == {"containerConcurrency": 0, "timeoutSeconds": 300, "enableServiceLinks": False}
    assert container["name"] == "user-container"
    assert container["readinessProbe"] == {"tcpSocket": {"port": 0}, "successThreshold": 1}
    assert made["spec"]["traffic"] == [{"latestRevision": True, "percent": 100}]


def test_a_sleeping_service_is_ready_and_wakes_for_all_who_wait(cluster: Cluster) -> None:
    cluster.serve("sleepy", annotations=ASLEEP, env={"SLOW": "0.3"})
    assert cluster.pods("sleepy") == []
    active = condition(cluster.get(f"{REVISIONS}/sleepy-00001"), "Active")
    assert (active["status"], active["reason"], active["severity"]) == ("False", "NoTraffic", "Info")
    with concurrent.futures.ThreadPoolExecutor(8) as visitors:
        answers = list(visitors.map(lambda number: cluster.fetch("sleepy", f"/{number}").json(), range(8)))
    assert [answer["path"] for answer in answers] == [f"/{number}" for number in range(8)]
    assert len({answer["pid"] for answer in answers}) == 1
    assert len(cluster.pods("sleepy")) == 1


def test_only_a_changed_template_makes_a_revision(cluster: Cluster) -> None:
    cluster.serve("changing", annotations=ASLEEP)
    path = f"{services()}/changing"
    cluster.api.patch(path, json={"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}, headers=MERGE)
    route = "/apis/serving.knative.dev/v1/namespaces/default/routes/changing"
    eventually(lambda: cluster.get(route)["metadata"]["labels"].get("a") == "b")
    assert cluster.get(path)["metadata"]["generation"] == 1
    assert cluster.api.get(f"{REVISIONS}/changing-00002").status_code == 404
    template = {"metadata": {"annotations": {**ASLEEP, "x": "y"}}}
    changed = cluster.api.patch(path, json={"spec": {"template": template}}, headers=MERGE).json()
    assert changed["metadata"]["generation"] == 2
    found = eventually(lambda: ready(cluster.get(path)))
    assert found["status"]["latestReadyRevisionName"] == "changing-00002"
    old = eventually(
        lambda: (
            (one := cluster.get(f"{REVISIONS}/changing-00001"))
            and one["metadata"]["labels"]["serving.knative.dev/routingState"] == "reserve"
        )
    )
    assert old


def test_the_contract_of_a_pod(cluster: Cluster) -> None:
    cluster.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "keys"}, "stringData": {"KEY": "k1"}})
    cluster.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "conf"}, "data": {"one": "1"}})
    container: dict[str, Any] = {
        "args": ["--who=$(WHO)", "$$(WHO)", "$(NOBODY)", "$(PORT)"],
        "env": [
            {"name": "WHO", "value": "me"},
            {"name": "TWICE", "value": "$(WHO)$(WHO)"},
            {"name": "SHADOWED", "value": "container"},
            {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "KEY"}}},
            {"name": "FROM_MAP", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "one"}}},
            {"name": "PERHAPS", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "x", "optional": True}}},
        ],
        "envFrom": [
            {"secretRef": {"name": "keys"}, "prefix": "S_"},
            {"configMapRef": {"name": "conf"}},
            {"configMapRef": {"name": "absent", "optional": True}},
        ],
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
        "readinessProbe": {"httpGet": {"path": "/health"}},
    }
    cluster.serve("contract", container=container, spec={"volumes": [{"name": "scratch", "emptyDir": {}}]})
    said = cluster.fetch("contract").json()
    env = said["env"]
    assert said["argv"] == ["echo.py", "--who=me", "$(WHO)", "$(NOBODY)", env["PORT"]]
    wanted = {
        "WHO": "me",
        "TWICE": "meme",
        "SHADOWED": "container",
        "FROM_IMAGE": "yes",
        "one": "1",
        "FROM_SECRET": "k1",
        "FROM_MAP": "1",
        "S_KEY": "k1",
        "K_SERVICE": "contract",
        "K_CONFIGURATION": "contract",
        "K_REVISION": "contract-00001",
        "KUBECONFIG": cluster.endpoints["kubeconfig"],
    }
    assert wanted.items() <= env.items()
    assert env["HOME"] == env["TMPDIR"]
    assert Path(env["HOME"]).is_dir()
    assert env["PATH"].startswith(f"{Path(sys.executable).parent}{os.pathsep}")
    inherited = set(env) - set(wanted) - {"PORT", "HOME", "TMPDIR", "PATH"}
    assert not {name for name in inherited if name.startswith(("PYTEST", "HYPOTHESIS", "VIRTUAL_ENV", "USER"))}
    assert said["cwd"] == str(cluster.images.parent)


def test_no_kubeconfig_without_a_token(cluster: Cluster) -> None:
    cluster.serve("tokenless", spec={"automountServiceAccountToken": False})
    said = cluster.fetch("tokenless").json()
    assert "KUBECONFIG" not in said["env"]
    assert said["argv"] == ["echo.py", "from-image"]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("nosuch", {"image": "ghcr.io/x/nobody:1"}, 'Unable to fetch image "ghcr.io/x/nobody:1"'),
        ("broken", {"env": {"BROKEN": "no store"}}, "cannot start: no store"),
        (
            "mounted",
            {
                "container": {"volumeMounts": [{"name": "v", "mountPath": "/data"}]},
                "spec": {"volumes": [{"name": "v", "emptyDir": {}}]},
            },
            "cannot mount volume 'v' at /data",
        ),
        (
            "secretless",
            {"container": {"envFrom": [{"secretRef": {"name": "missing"}}]}},
            'secret "missing" not found',
        ),
    ],
)
def test_what_cannot_run_says_why(cluster: Cluster, name: str, options: dict[str, Any], words: str) -> None:
    cluster.create(services(), make_service(name, **options))
    path = f"{services()}/{name}"
    eventually(lambda: condition(cluster.get(path), "RoutesReady").get("status") == "False")
    assert condition(cluster.get(path), "Ready")["reason"] == "RevisionMissing"
    failed = condition(cluster.get(path), "ConfigurationsReady")
    assert (failed["status"], failed["reason"]) == ("False", "RevisionFailed")
    assert f'Revision "{name}-00001" failed with message: ' in failed["message"]
    assert words in failed["message"]
    route = condition(cluster.get(path), "RoutesReady")
    assert (route["reason"], route["message"]) == (
        "RevisionMissing",
        f'Configuration "{name}" does not have any ready Revision.',
    )
    answer = cluster.fetch(name)
    assert answer.status_code == 503


def test_a_wake_that_fails_says_why_and_is_tried_again(cluster: Cluster) -> None:
    secrets = "/api/v1/namespaces/default/secrets"
    cluster.serve("later", annotations=ASLEEP, container={"envFrom": [{"secretRef": {"name": "later"}}]})
    answer = cluster.fetch("later", headers={"accept": "application/json"})
    assert answer.status_code == 503
    assert 'secret "later" not found' in answer.json()["message"]
    revision = eventually(
        lambda: (one := condition(cluster.get(f"{REVISIONS}/later-00001"), "Ready"))["status"] == "False" and one
    )
    assert revision["reason"] == "CreateContainerConfigError"
    cluster.create(secrets, {"metadata": {"name": "later"}, "stringData": {"A": "b"}})
    assert cluster.fetch("later").json()["env"]["A"] == "b"
    eventually(lambda: ready(cluster.get(f"{services()}/later")))


def test_an_idle_pod_sleeps_and_leaves_nothing(cluster: Cluster) -> None:
    cluster.serve("brief", annotations={**BRIEF, **ASLEEP}, env={"CHILD": "yes"})
    said = cluster.fetch("brief").json()
    eventually(lambda: not cluster.pods("brief"))
    assert not alive(said["pid"])
    eventually(lambda: not Path(said["env"]["HOME"]).exists())
    assert ready(cluster.get(f"{services()}/brief"))
    assert cluster.fetch("brief").json()["pid"] != said["pid"]


def is_ready_pod(pod: dict[str, Any]) -> bool:
    return bool(pod["status"]["conditions"][0]["status"] == "True")


def test_min_scale_keeps_a_pod_and_replaces_it(cluster: Cluster) -> None:
    cluster.serve("kept", annotations={**BRIEF, "autoscaling.knative.dev/min-scale": "1"})
    first = cluster.fetch("kept").json()["pid"]
    os.kill(first, signal.SIGKILL)
    eventually(
        lambda: (
            any(pod["status"]["conditions"][0]["status"] == "True" for pod in cluster.pods("kept")) and not alive(first)
        )
    )
    assert cluster.fetch("kept").json()["pid"] != first


def test_a_pod_that_died_is_replaced_by_the_next_request(cluster: Cluster) -> None:
    cluster.serve("fragile")
    first = cluster.fetch("fragile").json()["pid"]
    cluster.fetch("fragile", "/exit", method="POST", content=b"x")
    answer = eventually(lambda: one if (one := cluster.fetch("fragile")).status_code == 200 else None)
    second = answer.json()["pid"]
    assert second != first


def test_container_concurrency_is_kept(cluster: Cluster) -> None:
    cluster.serve("single", spec={"containerConcurrency": 1})
    with concurrent.futures.ThreadPoolExecutor(4) as visitors:
        answers = list(visitors.map(lambda _: cluster.fetch("single", "/sleep").status_code, range(4)))
    assert answers == [200] * 4


def test_a_request_that_takes_too_long_is_answered(cluster: Cluster) -> None:
    cluster.serve("hasty", annotations=ASLEEP, env={"SLOW": "60"}, spec={"timeoutSeconds": 1})
    answer = cluster.fetch("hasty", headers={"accept": "text/plain"})
    assert answer.status_code == 504
    assert "within 1 seconds" in answer.text


def test_deleting_a_service_takes_everything_along(cluster: Cluster) -> None:
    cluster.serve("doomed", annotations=BRIEF)
    pid = cluster.fetch("doomed").json()["pid"]
    cluster.api.delete(f"{services()}/doomed")
    eventually(lambda: not alive(pid))
    eventually(lambda: cluster.api.get(f"{REVISIONS}/doomed-00001").status_code == 404)


def test_logs_of_a_pod(cluster: Cluster) -> None:
    cluster.serve("talkative")
    cluster.fetch("talkative", "/said")
    (pod,) = cluster.pods("talkative")
    log = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}/log"
    assert eventually(lambda: "GET /said\n" in cluster.api.get(log).text)
    assert cluster.api.get(log, params={"tailLines": "1"}).text == "GET /said\n"
    assert "GET /said" in (cluster.state / "logs" / "default" / "talkative-00001.log").read_text()
