"""What the webhooks refuse, in their own words. Nothing is stored: every case is a dry run."""

from typing import Any

import pytest

from contract.kit import BROKERS, PING_SOURCES, SCALING, SERVICES, TRIGGERS, Home, failure

LABEL = (
    "not a DNS 1035 label: [a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')]"
)
TEMPLATE = "spec.template.spec"
CONTAINER = f"{TEMPLATE}.containers[0]"
ANNOTATIONS = "spec.template.metadata.annotations"
KNATIVE = "serving.knative.dev"


def refused(home: Home, collection: str, body: dict[str, Any], webhook: str) -> str:
    code, reason, message = failure(home.try_create(collection, body, dryRun="All"))
    said = f'admission webhook "validation.webhook.{webhook}" denied the request: validation failed: '
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith(said)
    return message.removeprefix(said)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"name": "1st"}, f"{LABEL}: metadata.name"),
        ({"name": "a" * 64}, "not a DNS 1035 label: [must be no more than 63 characters]: metadata.name"),
        (
            {"annotations": {f"{SCALING}/min-scale": "1"}},
            (
                f'invalid key name "{SCALING}/min-scale": metadata.annotations\n'
                'autoscaling annotations must be put under "spec.template.metadata.annotations" to work'
            ),
        ),
        (
            {"annotations": {f"{KNATIVE}/rollout-duration": "-1s"}},
            f"rollout-duration=-1s must be positive: metadata.annotations.{KNATIVE}/rollout-duration",
        ),
    ],
)
def test_metadata(home: Home, metadata: dict[str, Any], message: str) -> None:
    service = home.make_service("bad")
    service["metadata"] |= metadata
    assert refused(home, SERVICES, service, KNATIVE) == message


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({"min-scale": "many"}, "invalid value: many: {0}/min-scale"),
        ({"min-scale": "-1"}, "expected 0 <= -1 <= 2147483647: {0}/min-scale"),
        ({"min-scale": "3", "max-scale": "2"}, "max-scale=2 is less than min-scale=3: {0}/max-scale, {0}/min-scale"),
        ({"window": "5s"}, "expected 6s <= 5s <= 1h0m0s: {0}/window"),
        ({"window": "soon"}, "invalid value: soon: {0}/window"),
        ({"window": "6500ms"}, "must be specified with at most second precision: {0}/window"),
        (
            {"scale-to-zero-pod-retention-period": "2h"},
            "expected 0s <= 2h <= 1h0m0s: {0}/scale-to-zero-pod-retention-period",
        ),
        ({"initial-scale": "x"}, "invalid value: x: {0}/initial-scale"),
        ({"initial-scale": "-1"}, "invalid value: -1: {0}/initial-scale must be greater than 0"),
        ({"target": "0"}, "target 0 should be at least 0.01: {0}/target"),
        ({"metric": "nothing"}, "invalid value: nothing: {0}/metric"),
    ],
)
def test_autoscaling(home: Home, annotations: dict[str, str], message: str) -> None:
    service = home.make_service("bad", annotations={f"{SCALING}/{key}": value for key, value in annotations.items()})
    assert refused(home, SERVICES, service, KNATIVE) == message.format(f"{ANNOTATIONS}.{SCALING}")


def test_progress_deadline(home: Home) -> None:
    service = home.make_service("bad", annotations={f"{KNATIVE}/progress-deadline": "1500ms"})
    where = f"{ANNOTATIONS}.{KNATIVE}/progress-deadline"
    assert refused(home, SERVICES, service, KNATIVE) == (
        f"progress-deadline=1500ms is not at second precision: {where}"
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"timeoutSeconds": 601}, f"expected 0 <= 601 <= 600: {TEMPLATE}.timeoutSeconds"),
        ({"timeoutSeconds": -1}, f"expected 0 <= -1 <= 600: {TEMPLATE}.timeoutSeconds"),
        ({"containerConcurrency": 1001}, f"expected 0 <= 1001 <= 1000: {TEMPLATE}.containerConcurrency"),
        ({"containers": []}, f"missing field(s): {TEMPLATE}.containers"),
        ({"nodeSelector": {"a": "b"}}, f"must not set the field(s): {TEMPLATE}.nodeSelector"),
        (
            {"securityContext": {"runAsNonRoot": True}},
            f"must not set the field(s): {TEMPLATE}.securityContext, {TEMPLATE}.securityContext.runAsNonRoot",
        ),
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "x"}}]},
            f'volume with name "v" not mounted: {TEMPLATE}.volumes[0].name',
        ),
    ],
)
def test_pod(home: Home, spec: dict[str, Any], message: str) -> None:
    assert refused(home, SERVICES, home.make_service("bad", spec=spec), KNATIVE) == message


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"image": ""}, "missing field(s): {0}.image"),
        (
            {"image": "Not An Image"},
            (
                "Failed to parse image reference: {0}.image\n"
                'image: "Not An Image", error: could not parse reference: Not An Image'
            ),
        ),
        ({"name": "queue-proxy"}, '"queue-proxy" is a reserved container name: {0}.name'),
        (
            {"env": [{"name": "K_SERVICE", "value": "1"}, {"name": "PORT", "value": "1"}]},
            (
                '"K_SERVICE" is a reserved environment variable: {0}.env[0].name\n'
                '"PORT" is a reserved environment variable: {0}.env[1].name'
            ),
        ),
        ({"env": [{"value": "1"}]}, "missing field(s): {0}.env[0].name"),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
            "must not set the field(s): {0}.env[0].valueFrom.fieldRef",
        ),
        ({"envFrom": [{}]}, "expected exactly one, got neither: {0}.envFrom.configMapRef, {0}.envFrom.secretRef"),
        (
            {"ports": [{"containerPort": 8012}]},
            (
                "invalid value: 8012 is a reserved port: {0}.ports.containerPort\n"
                "8012 is a reserved port, please use a different value"
            ),
        ),
        (
            {"ports": [{"containerPort": 80, "name": "grpc"}]},
            "Port name grpc is not allowed: {0}.ports\nName must be empty, or one of: 'h2c', 'http1'",
        ),
        ({"ports": [{"containerPort": 70000}]}, "expected 0 <= 70000 <= 65535: {0}.ports.containerPort"),
        ({"ports": [{"containerPort": 80, "protocol": "UDP"}]}, "invalid value: UDP: {0}.ports.protocol"),
        (
            {"readinessProbe": {"httpGet": {"path": "/"}, "tcpSocket": {}}},
            "expected exactly one, got both: {0}.readinessProbe.httpGet, {0}.readinessProbe.tcpSocket",
        ),
        (
            {"readinessProbe": {"httpGet": {"path": "/"}, "timeoutSeconds": 3, "periodSeconds": 0}},
            "timeoutSeconds is disallowed when periodSeconds is zero: {0}.readinessProbe.timeoutSeconds",
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/x"}]},
            "volumeMount has no matching volume: {0}.volumeMounts[0].name",
        ),
    ],
)
def test_container(home: Home, container: dict[str, Any], message: str) -> None:
    said = refused(home, SERVICES, home.make_service("bad", container=container), KNATIVE)
    assert said == message.format(CONTAINER)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other", 'invalid value: "other" must have prefix "bad-": spec.template.metadata.name'),
        ("bad-X", f"invalid value: {LABEL}: spec.template.metadata.name"),
    ],
)
def test_name_of_a_revision(home: Home, name: str, message: str) -> None:
    service = home.make_service("bad")
    service["spec"]["template"]["metadata"]["name"] = name
    assert refused(home, SERVICES, service, KNATIVE) == message


@pytest.mark.parametrize(
    ("traffic", "message"),
    [
        ([{"latestRevision": True, "percent": 50}], "Traffic targets sum to 50, want 100: spec.traffic"),
        (
            [{"latestRevision": True, "percent": 101}],
            "Traffic targets sum to 101, want 100: spec.traffic\nexpected 0 <= 101 <= 100: spec.traffic[0].percent",
        ),
        (
            [{"configurationName": "bad", "percent": 100}],
            "must not set the field(s): spec.traffic[0].configurationName",
        ),
        (
            [{"latestRevision": True, "revisionName": "bad-00001", "percent": 100}],
            'may not set revisionName "bad-00001" when latestRevision is true: spec.traffic[0].latestRevision',
        ),
        (
            [{"latestRevision": False, "percent": 100}],
            'may not set revisionName "" when latestRevision is false: spec.traffic[0].latestRevision',
        ),
        (
            [{"tag": "a", "latestRevision": True, "percent": 100}, {"tag": "a", "revisionName": "bad-00001"}],
            'Multiple definitions for "a": spec.traffic[0].tag, spec.traffic[1].tag',
        ),
        ([{"tag": "A_b", "latestRevision": True, "percent": 100}], f"invalid value: {LABEL}: spec.traffic.tag[0]"),
        (
            [{"url": "http://x", "latestRevision": True, "percent": 100}],
            "must not set the field(s): spec.traffic[0].url",
        ),
    ],
)
def test_traffic(home: Home, traffic: list[dict[str, Any]], message: str) -> None:
    service = home.make_service("bad")
    service["spec"]["traffic"] = traffic
    assert refused(home, SERVICES, service, KNATIVE) == message


SINK = {"uri": "http://example.org"}
UNREFERENCED = "expected at least one, got none: spec.{0}.ref, spec.{0}.uri"
RELATIVE = "invalid value: Relative URI is not allowed when Ref and [apiVersion, kind, name] is absent: spec.{0}.uri"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"schedule": "@every 1m"}, "invalid value: unsupported descriptor @every: spec.schedule"),
        ({"schedule": "@nothing"}, "invalid value: unrecognized descriptor: @nothing: spec.schedule"),
        ({"schedule": "* * *"}, "invalid value: expected 5 to 6 fields, found 3: [* * *]: spec.schedule"),
        (
            {"timezone": "Mars/Crater"},
            "invalid value: provided bad location Mars/Crater: unknown time zone Mars/Crater: spec.timezone",
        ),
        ({"sink": {}}, UNREFERENCED.format("sink")),
        ({"sink": {"uri": "/x"}}, RELATIVE.format("sink")),
        ({"sink": {"ref": {"apiVersion": "v1", "kind": "Service"}}}, "missing field(s): spec.sink.ref.name"),
        ({"data": "a", "dataBase64": "YQ=="}, "expected exactly one, got both: spec.data, spec.dataBase64"),
    ],
)
def test_ping_source(home: Home, spec: dict[str, Any], message: str) -> None:
    source = {"metadata": {"name": "bad"}, "spec": {"sink": SINK, **spec}}
    body = {"apiVersion": "sources.knative.dev/v1", "kind": "PingSource", **source}
    assert refused(home, PING_SOURCES, body, "eventing.knative.dev") == message


@pytest.mark.parametrize(
    ("delivery", "message"),
    [
        ({"backoffPolicy": "magic"}, "invalid value: magic: spec.delivery.backoffPolicy"),
        ({"retry": -1}, "invalid value: -1: spec.delivery.retry"),
        ({"backoffDelay": "soon"}, "invalid value: soon: spec.delivery.backoffDelay"),
        ({"timeout": "PT0S"}, "invalid value: PT0S: spec.delivery.timeout"),
        ({"deadLetterSink": {}}, UNREFERENCED.format("delivery.deadLetterSink")),
    ],
)
def test_delivery(home: Home, delivery: dict[str, Any], message: str) -> None:
    body = {"apiVersion": "eventing.knative.dev/v1", "metadata": {"name": "bad"}, "kind": "Broker"}
    broker = body | {"spec": {"delivery": delivery}}
    trigger = body | {"kind": "Trigger", "spec": {"broker": "b", "subscriber": SINK, "delivery": delivery}}
    assert refused(home, BROKERS, broker, "eventing.knative.dev") == message
    assert refused(home, TRIGGERS, trigger, "eventing.knative.dev") == message


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"broker": ""}, "missing field(s): spec.broker"),
        ({"subscriber": {}}, UNREFERENCED.format("subscriber")),
        ({"subscriber": {"uri": "/x"}}, RELATIVE.format("subscriber")),
        (
            {"subscriber": {"ref": {"kind": "Service"}}},
            "missing field(s): spec.subscriber.ref.apiVersion, spec.subscriber.ref.name",
        ),
        (
            {"filter": {"attributes": {"Bad-Name": "x"}}},
            (
                'invalid key name "Bad-Name": spec.filter.attributes[Bad-Name]\n'
                "Attribute name must start with a letter and can only contain lowercase alphanumeric"
            ),
        ),
    ],
)
def test_trigger(home: Home, spec: dict[str, Any], message: str) -> None:
    body = {"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": {"name": "bad"}}
    body["spec"] = {"broker": "b", "subscriber": SINK, **spec}
    assert refused(home, TRIGGERS, body, "eventing.knative.dev") == message


@pytest.mark.parametrize(
    ("metadata", "start"),
    [
        ({"name": "Bad"}, 'Service.serving.knative.dev "Bad" is invalid: metadata.name: Invalid value: "Bad": a lower'),
        ({}, 'Service.serving.knative.dev "" is invalid: metadata.name: Required value: name or generateName is req'),
        (
            {"name": "bad", "labels": {"a": "not ok"}},
            'Service.serving.knative.dev "bad" is invalid: metadata.labels: Invalid value: "not ok": a valid label',
        ),
    ],
)
def test_what_the_api_server_itself_refuses(home: Home, metadata: dict[str, Any], start: str) -> None:
    code, reason, message = failure(home.try_create(SERVICES, home.make_service("x") | {"metadata": metadata}))
    assert (code, reason) == (422, "Invalid")
    assert message.startswith(start)
