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


def _judge_dead_letter_sink(sink: Resolution) -> Verdict:
    if sink.problem:
        return deny("Unable to get the dead letter sink's URI", sink.problem)
    return TRUE if sink.url else _NO_SINK


def make_broker_status(broker: Object, dead_letters: Resolution, addresses: Addresses, now: dt.datetime) -> Object:
    """A Broker is ready at once, its queue being the runtime's own; it waits for a dead letter sink that is nowhere.

    Then Knative says no more than that its channel, which has the same sink, has no address.
    """
    names = ("Addressable", "FilterReady", "IngressReady", "TriggerChannelReady")
    if dead_letters.problem:
        waiting = {"TriggerChannelReady": deny("NoAddress", "Channel does not have an address.")}
        dependents = dict.fromkeys(names, UNKNOWN) | waiting
        return make_status(broker, make_conditions(broker, dependents, {}, now), {})
    dependents = dict.fromkeys(names, TRUE)
    sink = _judge_dead_letter_sink(dead_letters)
    informational = {"DeadLetterSinkResolved": sink, "EventPoliciesReady": _NO_POLICIES}
    fields = {
        "address": {"name": "http", "url": addresses.broker_url(namespace_of(broker), name_of(broker))},
        "deadLetterSinkUri": dead_letters.url,
    }
    return make_status(broker, make_conditions(broker, dependents, informational, now), fields)


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
    sink = _judge_dead_letter_sink(dead_letters)
    if not subscriber.url:
        resolved = deny("Unable to get the Subscriber's URI", subscriber.problem)
        return _make_unresolved_status(trigger, {"BrokerReady": broker_ready, "SubscriberResolved": resolved}, {}, now)
    if dead_letters.problem:
        known = {"BrokerReady": broker_ready, "SubscriberResolved": TRUE, "DeadLetterSinkResolved": sink}
        return _make_unresolved_status(trigger, known, {"subscriberUri": subscriber.url}, now)
    dependents = {
        "BrokerReady": broker_ready,
        "DeadLetterSinkResolved": sink,
        "DependencyReady": TRUE,
        "OIDCIdentityCreated": _NO_OIDC,
        "SubscriberResolved": TRUE,
        "SubscriptionReady": TRUE if broker is not None else doubt("SubscriptionNotConfigured"),
    }
    fields = {"subscriberUri": subscriber.url, "deadLetterSinkUri": dead_letters.url}
    return make_status(trigger, make_conditions(trigger, dependents, {}, now), fields)


def _make_unresolved_status(trigger: Object, known: dict[str, Verdict], fields: Object, now: dt.datetime) -> Object:
    """After a destination that is nowhere nothing else is looked at."""
    later = ("DeadLetterSinkResolved", "DependencyReady", "OIDCIdentityCreated", "SubscriptionReady")
    dependents = dict.fromkeys(later, UNKNOWN) | known
    return make_status(trigger, make_conditions(trigger, dependents, {}, now), fields)


def make_ping_source_status(source: Object, sink: Resolution, now: dt.datetime) -> Object:
    """A PingSource is ready when its sink has an address."""
    if not sink.url:
        dependents = {"Deployed": UNKNOWN, "OIDCIdentityCreated": _NO_OIDC, "SinkProvided": deny("NotFound", "")}
        return make_status(source, make_conditions(source, dependents, {}, now), {})
    dependents = {"Deployed": TRUE, "OIDCIdentityCreated": _NO_OIDC, "SinkProvided": TRUE}
    origin = f"/apis/v1/namespaces/{namespace_of(source)}/pingsources/{name_of(source)}"
    fields = {"sinkUri": sink.url, "ceAttributes": [{"type": "dev.knative.sources.ping", "source": origin}]}
    return make_status(source, make_conditions(source, dependents, {}, now), fields)
