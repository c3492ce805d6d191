"""What is observed of Brokers, Triggers and PingSources, as their status. Pure.

Source: knative/eventing pkg/apis/eventing/v1/*_lifecycle.go, pkg/apis/sources/v1/ping_lifecycle.go.
"""

import datetime as dt

from knative_embedded.control.conditions import (
    TRUE,
    UNKNOWN,
    Truth,
    Verdict,
    deny,
    doubt,
    make_conditions,
    make_status,
    read_verdict,
)
from knative_embedded.control.hosts import Addresses
from knative_embedded.eventing.sinks import Resolution
from knative_embedded.objects import Object, condition, name_of, namespace_of, spec_of

_NO_SINK = Verdict(Truth.TRUE, "DeadLetterSinkNotConfigured", "No dead letter sink is configured.")
_NO_OIDC = Verdict(Truth.TRUE, "authentication-oidc feature disabled", "")
_NO_POLICIES = Verdict(
    Truth.TRUE, "OIDCDisabled", 'Feature "authentication-oidc" must be enabled to support Authorization'
)


def _judge_dead_letter_sink(delivery: Object, sink: Resolution) -> Verdict:
    if not delivery.get("deadLetterSink"):
        return _NO_SINK
    return TRUE if sink.url else deny("Unable to get the dead letter sink's URI", sink.problem)


def make_broker_status(broker: Object, dead_letters: Resolution, addresses: Addresses, now: dt.datetime) -> Object:
    """A Broker is ready at once: its queue is the runtime's own."""
    sink = _judge_dead_letter_sink(spec_of(broker).get("delivery") or {}, dead_letters)
    names = ("Addressable", "FilterReady", "IngressReady", "TriggerChannelReady")
    informational = {"DeadLetterSinkResolved": sink, "EventPoliciesReady": _NO_POLICIES}
    fields = {
        "address": {"name": "http", "url": addresses.broker_url(namespace_of(broker), name_of(broker))},
        "deadLetterSinkUri": dead_letters.url,
    }
    conditions = make_conditions(broker, dict.fromkeys(names, TRUE), informational, now)
    return make_status(broker, conditions, fields)


def make_trigger_status(
    trigger: Object, broker: Object | None, subscriber: Resolution, dead_letters: Resolution, now: dt.datetime
) -> Object:
    """A Trigger is ready when its Broker is and its subscriber has an address."""
    if broker is None:
        broker_ready = deny("BrokerDoesNotExist", f'Broker "{spec_of(trigger)["broker"]}" does not exist')
    else:
        broker_ready = read_verdict(condition(broker, "Ready"))
        if not condition(broker, "Ready"):
            broker_ready = doubt("BrokerNotConfigured", "Broker has not yet been reconciled.")
    if not subscriber.url:
        return _make_unresolved_status(trigger, broker_ready, subscriber.problem, now)
    dependents = {
        "BrokerReady": broker_ready,
        "DeadLetterSinkResolved": _judge_dead_letter_sink(spec_of(trigger).get("delivery") or {}, dead_letters),
        "DependencyReady": TRUE,
        "OIDCIdentityCreated": _NO_OIDC,
        "SubscriberResolved": TRUE,
        "SubscriptionReady": TRUE if broker is not None else doubt("SubscriptionNotConfigured"),
    }
    fields = {"subscriberUri": subscriber.url, "deadLetterSinkUri": dead_letters.url}
    return make_status(trigger, make_conditions(trigger, dependents, {}, now), fields)


def _make_unresolved_status(trigger: Object, broker_ready: Verdict, problem: str, now: dt.datetime) -> Object:
    """Without a subscriber nothing else is looked at."""
    later = ("DeadLetterSinkResolved", "DependencyReady", "OIDCIdentityCreated", "SubscriptionReady")
    resolved = deny("Unable to get the Subscriber's URI", problem)
    dependents = dict.fromkeys(later, UNKNOWN) | {"BrokerReady": broker_ready, "SubscriberResolved": resolved}
    return make_status(trigger, make_conditions(trigger, dependents, {}, now), {})


def make_ping_source_status(source: Object, sink: Resolution, now: dt.datetime) -> Object:
    """A PingSource is ready when its sink has an address."""
    if not sink.url:
        dependents = {"Deployed": UNKNOWN, "OIDCIdentityCreated": _NO_OIDC, "SinkProvided": deny("NotFound", "")}
        return make_status(source, make_conditions(source, dependents, {}, now), {})
    dependents = {"Deployed": TRUE, "OIDCIdentityCreated": _NO_OIDC, "SinkProvided": TRUE}
    origin = f"/apis/v1/namespaces/{namespace_of(source)}/pingsources/{name_of(source)}"
    fields = {"sinkUri": sink.url, "ceAttributes": [{"type": "dev.knative.sources.ping", "source": origin}]}
    return make_status(source, make_conditions(source, dependents, {}, now), fields)
