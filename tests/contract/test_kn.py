"""Knative's own command line: what it prints, and that it changes what it says."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.kit import REVISIONS, SERVICES, Home, answered, eventually

Kn = Callable[..., list[str]]

_AGE = re.compile(r"\b\d+s\b")
_DIGEST = re.compile(r"\(at [0-9a-f]{6}\)")
SERVICE_COLUMNS = "NAME URL LATEST AGE CONDITIONS READY REASON"
REVISION_COLUMNS = "NAME SERVICE TRAFFIC TAGS GENERATION AGE CONDITIONS READY REASON"
CONDITIONS = ["Conditions:", "OK TYPE AGE REASON", "++ Ready AGE", "++ ConfigurationsReady AGE", "++ RoutesReady AGE"]
IMAGE = "Image: IMAGE (at DIGEST)"
CHANGED = "Service 'page' with latest revision 'page-00002' (unchanged) is available at URL:"
TAKEN = "the service already exists and no --force option was given"
HELP = "Run 'kn --help' for usage"


@pytest.fixture
def kn(home: Home, tmp_path: Path) -> Kn:
    """kn in the test's namespace: what it prints, without ages and empty lines; when refused, what it complains of."""
    command = shutil.which("kn")
    if command is None:
        pytest.skip("kn is not on PATH: Knative's releases have it")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(home.cluster.access.kubeconfig)}

    def run(*arguments: str, code: int = 0) -> list[str]:
        done = subprocess.run(
            [command, "--namespace", home.namespace, *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        said: str = home.normal(done.stderr if code else done.stdout)
        lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
        return [_DIGEST.sub("(at DIGEST)", _AGE.sub("AGE", line)) for line in lines]

    return run


STATE = "serving.knative.dev/routingState"


def make_page(home: Home) -> None:
    """A Service `page` with two Revisions that sleep."""
    home.serve("page", labels={"team": "a"})
    answered(home.patch(SERVICES, "page", {"spec": {"template": {"spec": {"timeoutSeconds": 60}}}}), 200)
    home.await_ready(SERVICES, "page")
    eventually(lambda: home.get(REVISIONS, "page-00001")["metadata"]["labels"][STATE] == "reserve")


HEAD = ["Name: page", "Namespace: NAMESPACE", "Labels: team=a", "Age: AGE", "URL: http://page.NAMESPACE.DOMAIN"]


def test_lists(home: Home, kn: Kn) -> None:
    assert kn("service", "list") == ["No services found."]
    assert kn("revision", "list") == ["No revisions found."]
    make_page(home)
    row = "page http://page.NAMESPACE.DOMAIN page-00002 AGE 3 OK / 3 True"
    assert kn("service", "list") == [SERVICE_COLUMNS, row]
    assert kn("service", "list", "-o", "name") == ["service.serving.knative.dev/page"]
    rows = ["page-00002 page 100% 2 AGE 3 OK / 4 True", "page-00001 page 1 AGE 3 OK / 4 True"]
    assert kn("revision", "list") == [REVISION_COLUMNS, *rows]
    assert kn("revision", "list", "--service", "page") == [REVISION_COLUMNS, *rows]
    assert kn("route", "list") == ["NAME URL READY", "page http://page.NAMESPACE.DOMAIN True"]


def test_descriptions(home: Home, kn: Kn) -> None:
    make_page(home)
    revisions = ["Revisions:", "100% @latest (page-00002) [2] (AGE)", IMAGE]
    assert kn("service", "describe", "page") == HEAD + revisions + CONDITIONS
    assert kn("service", "describe", "page", "-o", "url") == ["http://page.NAMESPACE.DOMAIN"]
    assert kn("revision", "describe", "page-00001") == [
        "Name: page-00001",
        "Namespace: NAMESPACE",
        "Annotations: autoscaling.knative.dev/initial-scale=0",
        "Age: AGE",
        IMAGE,
        "Service: page",
        "Conditions:",
        "OK TYPE AGE REASON",
        "++ Ready AGE",
        "++ ContainerHealthy AGE",
        "++ ResourcesAvailable AGE",
        "I Active AGE NoTraffic",
    ]
    assert kn("service", "describe", "nobody", code=1) == [
        'Error: services.serving.knative.dev "nobody" not found',
        HELP,
    ]


def test_traffic_and_tags(home: Home, kn: Kn) -> None:
    make_page(home)
    shares = ("--traffic", "page-00001=30", "--traffic", "page-00002=70")
    said = kn("service", "update", "page", *shares, "--tag", "page-00001=old", "--tag", "@latest=new")
    assert said[0] == "Updating Service 'page' in namespace 'NAMESPACE':"
    assert said[-2:] == [CHANGED, "http://page.NAMESPACE.DOMAIN"]
    assert home.get(SERVICES, "page")["spec"]["traffic"] == [
        {"latestRevision": True, "percent": 0, "tag": "new"},
        {"latestRevision": False, "percent": 30, "revisionName": "page-00001", "tag": "old"},
        {"latestRevision": False, "percent": 70, "revisionName": "page-00002"},
    ]
    revisions = ["+ @latest (page-00002) #new [2] (AGE)", IMAGE, "70% page-00002 (current @latest) [2] (AGE)", IMAGE]
    revisions = ["Revisions:", *revisions, "30% page-00001 #old [1] (AGE)", IMAGE]
    assert kn("service", "describe", "page") == HEAD + revisions + CONDITIONS
    rows = ["page-00002 page 70% new 2 AGE 3 OK / 4 True", "page-00001 page 30% old 1 AGE 3 OK / 4 True"]
    assert kn("revision", "list") == [REVISION_COLUMNS, *rows]
    kn("service", "update", "page", "--untag", "old", "--traffic", "@latest=100")
    revisions = ["Revisions:", "100% @latest (page-00002) #new [2] (AGE)", IMAGE]
    assert kn("service", "describe", "page") == HEAD + revisions + CONDITIONS


def test_a_new_template(home: Home, kn: Kn) -> None:
    make_page(home)
    said = kn("service", "update", "page", "--env", "WORD=two", "--revision-name", "page-named")
    assert said[-2:] == [
        "Service 'page' updated to latest revision 'page-named' is available at URL:",
        "http://page.NAMESPACE.DOMAIN",
    ]
    revision = home.get(REVISIONS, "page-named")
    assert revision["spec"]["containers"][0]["env"] == [{"name": "WORD", "value": "two"}]
    # What runs is kept, whatever becomes of a tag.
    assert "@sha256:" in revision["spec"]["containers"][0]["image"]
    assert kn("service", "create", "page", "--image", "example.org/other", code=1) == [
        f"Error: cannot create service 'page' in namespace 'NAMESPACE' because {TAKEN}",
        HELP,
    ]


def test_create_and_delete(home: Home, kn: Kn) -> None:
    image = home.cluster.access.image
    said = kn("service", "create", "page", "--image", image, "--scale-init", "0", "--cmd", "python3", "--cmd=-V")
    assert said[0] == "Creating service 'page' in namespace 'NAMESPACE':"
    assert said[-2:] == [
        "Service 'page' created to latest revision 'page-00001' is available at URL:",
        "http://page.NAMESPACE.DOMAIN",
    ]
    answered(home.patch(SERVICES, "page", {"spec": {"template": {"spec": {"timeoutSeconds": 60}}}}), 200)
    home.await_ready(SERVICES, "page")
    assert kn("revision", "delete", "page-00001") == ["Revision 'page-00001' deleted in namespace 'NAMESPACE'."]
    eventually(lambda: home.names(REVISIONS) == ["page-00002"])
    gone = "Service 'page' successfully deleted in namespace 'NAMESPACE'."
    assert kn("service", "delete", "page", "--wait") == [gone]
    assert kn("service", "list") == ["No services found."]
    missing = ['Error: services.serving.knative.dev "page" not found', HELP]
    assert kn("service", "delete", "page", code=1) == missing
    eventually(lambda: home.names(REVISIONS) == [])
