"""Brokers, Triggers and PingSources: defaults, readiness, and what they can no longer change."""

from typing import Any

import pytest

from contract.delivery import make_broker, make_ping, make_trigger, refer
from contract.kit import BROKERS, PING_SOURCES, SERVICES, TRIGGERS, Home, condition, failure

DENIED = 'admission webhook "validation.webhook.eventing.knative.dev" denied the request: validation failed: '
NO_SINK = {"reason": "DeadLetterSinkNotConfigured", "message": "No dead letter sink is configured."}
NO_OIDC = {"reason": "authentication-oidc feature disabled"}
NO_POLICIES = {
    "reason": "OIDCDisabled",
    "message": 'Feature "authentication-oidc" must be enabled to support Authorization',
}


def true(kind: str, **rest: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "lastTransitionTime": "TIME", **rest}


def unknown(kind: str) -> dict[str, str]:
    return {"type": kind, "status": "Unknown", "lastTransitionTime": "TIME"}


def test_a_broker(home: Home) -> None:
    home.create(BROKERS, make_broker("default"))
    broker = home.normal(home.await_ready(BROKERS, "default"))
    assert broker["metadata"]["annotations"] == {
        "eventing.knative.dev/broker.class": "MTChannelBasedBroker",
        "eventing.knative.dev/creator": "USER",
        "eventing.knative.dev/lastModifier": "USER",
    }
    config = {"apiVersion": "v1", "kind": "ConfigMap", "name": "config-br-default-channel"}
    assert broker["spec"] == {
        "config": config | {"namespace": "knative-eventing"},
        "delivery": {"backoffDelay": "PT0.2S", "backoffPolicy": "exponential", "retry": 10},
    }
    assert broker["status"]["conditions"] == [
        true("Addressable"),
        true("DeadLetterSinkResolved", severity="Info", **NO_SINK),
        true("EventPoliciesReady", severity="Info", **NO_POLICIES),
        true("FilterReady"),
        true("IngressReady"),
        true("Ready"),
        true("TriggerChannelReady"),
    ]
    assert broker["status"]["address"]["name"] == "http"
    assert broker["status"]["address"]["url"].endswith("/NAMESPACE/default")


def test_a_trigger(home: Home) -> None:
    home.create(BROKERS, make_broker("default"))
    home.create(SERVICES, home.make_service("sink"))
    home.create(TRIGGERS, make_trigger("one", refer("Service", "sink")))
    trigger = home.normal(home.await_ready(TRIGGERS, "one"))
    assert trigger["metadata"]["labels"] == {"eventing.knative.dev/broker": "default"}
    reference = refer("Service", "sink")["ref"] | {"namespace": "NAMESPACE"}
    assert trigger["spec"] == {"broker": "default", "filter": {}, "subscriber": {"ref": reference}}
    assert trigger["status"]["subscriberUri"] == "http://sink.NAMESPACE.svc.cluster.local"
    assert trigger["status"]["conditions"] == [
        true("BrokerReady"),
        true("DeadLetterSinkResolved", **NO_SINK),
        true("DependencyReady"),
        true("OIDCIdentityCreated", **NO_OIDC),
        true("Ready"),
        true("SubscriberResolved"),
        true("SubscriptionReady"),
    ]


def test_a_trigger_without_a_subscriber(home: Home) -> None:
    home.create(BROKERS, make_broker("default"))
    home.await_ready(BROKERS, "default")
    home.create(TRIGGERS, make_trigger("one", refer("Service", "nobody")))
    trigger = home.normal(home.await_condition(TRIGGERS, "one", "Ready", "False"))
    failed = {
        "status": "False",
        "lastTransitionTime": "TIME",
        "reason": "Unable to get the Subscriber's URI",
        "message": 'failed to get object NAMESPACE/nobody: services.serving.knative.dev "nobody" not found',
    }
    assert trigger["status"]["conditions"] == [
        true("BrokerReady"),
        unknown("DeadLetterSinkResolved"),
        unknown("DependencyReady"),
        unknown("OIDCIdentityCreated"),
        failed | {"type": "Ready"},
        failed | {"type": "SubscriberResolved"},
        unknown("SubscriptionReady"),
    ]
    home.create(SERVICES, home.make_service("nobody"))
    home.await_ready(TRIGGERS, "one")


def test_a_trigger_without_its_dead_letter_sink(home: Home) -> None:
    home.create(BROKERS, make_broker("default"))
    home.await_ready(BROKERS, "default")
    sink = {"deadLetterSink": refer("Service", "nobody")}
    home.create(TRIGGERS, make_trigger("one", {"uri": "http://example.org/"}, delivery=sink))
    status = home.normal(home.await_condition(TRIGGERS, "one", "Ready", "False")["status"])
    failed = {
        "status": "False",
        "lastTransitionTime": "TIME",
        "reason": "Unable to get the dead letter sink's URI",
        "message": 'failed to get object NAMESPACE/nobody: services.serving.knative.dev "nobody" not found',
    }
    assert status["subscriberUri"] == "http://example.org/"
    assert status["conditions"] == [
        true("BrokerReady"),
        failed | {"type": "DeadLetterSinkResolved"},
        unknown("DependencyReady"),
        unknown("OIDCIdentityCreated"),
        failed | {"type": "Ready"},
        true("SubscriberResolved"),
        unknown("SubscriptionReady"),
    ]
    home.create(SERVICES, home.make_service("nobody"))
    home.await_ready(TRIGGERS, "one")


def test_a_broker_without_its_dead_letter_sink(home: Home) -> None:
    home.create(BROKERS, make_broker("default", delivery={"deadLetterSink": refer("Service", "nobody")}))
    status = home.normal(home.await_condition(BROKERS, "default", "Ready", "False")["status"])
    failed = {
        "status": "False",
        "lastTransitionTime": "TIME",
        "reason": "NoAddress",
        "message": "Channel does not have an address.",
    }
    assert status["conditions"] == [
        unknown("Addressable"),
        unknown("FilterReady"),
        unknown("IngressReady"),
        failed | {"type": "Ready"},
        failed | {"type": "TriggerChannelReady"},
    ]
    assert "address" not in status
    home.create(SERVICES, home.make_service("nobody"))
    home.await_ready(BROKERS, "default")


def test_a_trigger_waits_for_its_broker(home: Home) -> None:
    home.create(TRIGGERS, make_trigger("early", {"uri": "http://example.org/"}))
    assert condition(home.get(TRIGGERS, "early"), "Ready").get("status") != "True"
    home.create(BROKERS, make_broker("default"))
    assert home.await_ready(TRIGGERS, "early")["status"]["subscriberUri"] == "http://example.org/"


@pytest.mark.parametrize(
    ("collection", "name", "patch", "start"),
    [
        (
            BROKERS,
            "default",
            {"metadata": {"annotations": {"eventing.knative.dev/broker.class": "Other"}}},
            "Immutable annotations changed (-old +new): annotations",
        ),
        (
            BROKERS,
            "default",
            {"spec": {"config": {"name": "other"}}},
            "Immutable fields changed (-old +new): spec",
        ),
        (TRIGGERS, "one", {"spec": {"broker": "other"}}, "Immutable fields changed (-old +new): broker, spec"),
    ],
)
def test_what_cannot_change(home: Home, collection: str, name: str, patch: dict[str, Any], start: str) -> None:
    home.create(BROKERS, make_broker("default"))
    home.create(TRIGGERS, make_trigger("one", {"uri": "http://example.org/"}))
    code, reason, message = failure(home.patch(collection, name, patch))
    assert (code, reason) == (400, "BadRequest")
    assert message.removeprefix(DENIED).startswith(start)


def test_a_ping_source(home: Home) -> None:
    home.create(BROKERS, make_broker("default"))
    made = home.create(PING_SOURCES, make_ping("tick", refer("Broker", "default")))
    assert home.normal(made)["spec"] == {"schedule": "* * * * *", "sink": refer("Broker", "default")}
    source = home.await_ready(PING_SOURCES, "tick")
    broker = home.get(BROKERS, "default")
    assert source["status"]["sinkUri"] == broker["status"]["address"]["url"]
    status = home.normal(source["status"])
    origin = "/apis/v1/namespaces/NAMESPACE/pingsources/tick"
    assert status["ceAttributes"] == [{"source": origin, "type": "dev.knative.sources.ping"}]
    assert status["conditions"] == [
        true("Deployed"),
        true("OIDCIdentityCreated", **NO_OIDC),
        true("Ready"),
        true("SinkProvided"),
    ]


def test_a_ping_source_without_a_sink(home: Home) -> None:
    home.create(PING_SOURCES, make_ping("tick", refer("Broker", "nobody")))
    status = home.normal(home.await_condition(PING_SOURCES, "tick", "Ready", "False")["status"])
    failed = {"status": "False", "lastTransitionTime": "TIME", "reason": "NotFound"}
    assert status["conditions"] == [
        unknown("Deployed"),
        true("OIDCIdentityCreated", **NO_OIDC),
        failed | {"type": "Ready"},
        failed | {"type": "SinkProvided"},
    ]


@pytest.mark.parametrize("schedule", ["@hourly", "*/5 * * * *", "0 */5 * * * *", "0 0 * * 1-5"])
def test_schedules_that_are_taken(home: Home, schedule: str) -> None:
    source = make_ping("tick", {"uri": "http://example.org/"}, schedule=schedule, timezone="UTC")
    assert home.create(PING_SOURCES, source)["spec"]["schedule"] == schedule
