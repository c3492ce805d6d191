"""The component `oidc` on a real cluster: the broker takes events of those who may post, and of nobody else.

Eventing's switch holds for the whole cluster: it is on while these tests run, and no other broker of the cluster gets
events then. What it was before is put back, and waited for, whatever happens. These tests come first in this folder by
their file's name: the platform's own Triggers may not stand yet (see support/oidc.py).
"""

from collections.abc import Iterator

import pytest

from support.laptop import until
from support.manifests import functions, of_kind, with_component
from support.oidc import Broker, forwarded, switched_on
from support.real_cluster import SECONDS, moved

POSTING = ("front", "expire", "sweep", "rollout")
TRIGGERS = (
    "visualize",
    "ingest",
    "ingest-results",
    "release",
    "rollout-image",
    "rollout-command",
    "rollout-snapshot",
)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("oidc")
    objects = with_component(folder, "rbac", "oidc")
    with forwarded(folder / "port-forward.log") as address:
        found = Broker(objects, address, folder)
        try:
            with switched_on(found):
                found.create()
                yield found
        finally:
            found.close()


def test_the_audience_of_the_tokens_is_the_brokers(broker: Broker) -> None:
    assert broker.status("brokers", "default")["address"]["audience"] == broker.audience


@pytest.mark.parametrize("function", POSTING)
def test_who_posts_by_itself_is_let_in(broker: Broker, function: str) -> None:
    assert broker.post(broker.token(function)) == ""


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_what_a_function_replies_is_let_in(broker: Broker, trigger: str) -> None:
    until(lambda: broker.status("triggers", trigger).get("auth"), SECONDS, "that the Trigger has an account")
    assert broker.post(broker.token(broker.account_of(trigger))) == ""


def test_every_trigger_of_the_component_was_tried(broker: Broker) -> None:
    assert set(of_kind(broker.objects, "Trigger")) == {*TRIGGERS}


def test_without_a_token_nobody_is_let_in(broker: Broker) -> None:
    assert broker.post(None) == "the broker answered 401: it asks who sends, and K_SINK_TOKEN_FILE is not set"


@pytest.mark.parametrize(
    ("account", "audience", "namespace", "status"),
    [
        ("front", "eventing.knative.dev/broker/elsewhere/default", None, 401),
        ("front", "https://kubernetes.default.svc", None, 401),
        ("visualize", None, None, 403),
        ("default", None, None, 403),
        ("default", None, "default", 403),
    ],
)
def test_a_token_for_somebody_else_or_of_somebody_else_is_refused(
    broker: Broker, account: str, audience: str | None, namespace: str | None, status: int
) -> None:
    said = broker.post(broker.token(account, audience, namespace))
    assert said == f"the broker answered {status}: it does not take the token of {broker.file}"


@pytest.mark.parametrize("function", POSTING)
def test_knative_takes_a_function_with_such_a_token(broker: Broker, function: str) -> None:
    (service,) = moved([functions(broker.objects)[function]], broker.namespace, ["Service"])
    serving = {"group": "serving.knative.dev", "version": "v1", "plural": "services"}
    taken = broker.custom.create_namespaced_custom_object(
        namespace=broker.namespace, body=service, dry_run="All", **serving
    )
    volumes = taken["spec"]["template"]["spec"]["volumes"]
    assert [one["projected"]["sources"] for one in volumes if "projected" in one] == [
        [{"serviceAccountToken": {"audience": broker.audience, "expirationSeconds": 3600, "path": "token"}}]
    ]
