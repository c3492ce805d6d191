"""The manifests, as `kubectl kustomize` renders them: valid objects, real settings, and nothing that leads nowhere."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bigpanda_laptop.deploy import read_manifests
from bigpanda_mlflow import labels
from bigpanda_mlflow.events import DATA_MODELS, EventType
from bigpanda_mlflow.resources import CREDENTIALS_PATH, make_service
from bigpanda_mlflow.settings import Settings, settings_table
from support.builders import SETTINGS, visualize_event
from support.manifests import (
    COMPONENTS,
    KNATIVE,
    OVERLAYS,
    PLATFORMS,
    Resource,
    container,
    functions,
    kustomize,
    of_kind,
    overlay,
    with_component,
)

SCHEMAS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "schemas.yaml").read_text())
CONFIG_NAMESPACES = ("knative-serving", "knative-eventing")


def settings_of(objects: tuple[Resource, ...]) -> dict[str, str]:
    (found,) = (one for name, one in of_kind(objects, "ConfigMap").items() if read_by_functions(name))
    data: dict[str, str] = found["data"]
    return data


def read_by_functions(config_map: str) -> bool:
    return config_map.startswith("bigpanda-mlflow-") and config_map not in {labels.TOMBSTONES, labels.ROLLOUTS}


def problems(one: Resource) -> Iterator[str]:
    """What the schemas have against an object."""
    fields = SCHEMAS["kinds"].get(f"{one['apiVersion']}/{one['kind']}")
    if fields is None:
        yield f"{one['apiVersion']}/{one['kind']}: no schema for it"
        return
    schema = strict({"metadata": {"$ref": "#/$defs/metadata"}, "apiVersion": {}, "kind": {}, **fields})
    for error in jsonschema.Draft202012Validator(schema).iter_errors(one):
        yield f"{one['kind']} {one['metadata']['name']}: {error.json_path}: {error.message}"


def strict(properties: Resource) -> Resource:
    required = [name for name in properties if name in {"metadata", "spec"}]
    return {
        "$defs": SCHEMAS["$defs"],
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": properties,
    }


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_of_an_overlay_fits_its_schema(name: str) -> None:
    objects = overlay(name)
    assert objects
    assert list(itertools.chain.from_iterable(map(problems, objects))) == []


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_renders_over_the_base(name: str, tmp_path: Path) -> None:
    base = kustomize(KNATIVE / "base")
    objects = with_component(tmp_path, name)
    assert list(itertools.chain.from_iterable(map(problems, objects))) == []
    assert objects != base


@pytest.mark.parametrize("settings", [SETTINGS, SETTINGS.model_copy(update={"page_files": "page-files"})])
def test_a_page_fits_the_schema_of_a_service(settings: Settings) -> None:
    service = make_service(visualize_event(), settings)
    service["metadata"] = {"name": service["metadata"]["name"]}
    assert list(problems(service)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"timeoutSecond": 60}, "Additional properties are not allowed"),
        ({"timeoutSeconds": 601}, "601 is greater than the maximum"),
        ({"hostNetwork": True}, "Additional properties are not allowed"),
    ],
)
def test_a_wrong_field_is_found(change: Resource, said: str) -> None:
    service = make_service(visualize_event(), SETTINGS)
    service["metadata"] = {"name": service["metadata"]["name"]}
    service["spec"]["template"]["spec"].update(change)
    assert any(said in problem for problem in problems(service))


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_object_is_there_twice_and_none_holds_a_secret(name: str) -> None:
    objects = overlay(name)
    keys = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]
    assert len(keys) == len(set(keys))
    assert of_kind(objects, "Secret") == {}


def test_the_base_is_what_make_run_applies() -> None:
    applied = list(read_manifests(KNATIVE / "base"))
    assert applied[0]["kind"] == "Namespace"

    def by_key(objects: Iterator[Resource]) -> list[Resource]:
        return sorted(objects, key=lambda one: (one["kind"], one["metadata"]["name"]))

    assert by_key(iter(applied)) == by_key(iter(kustomize(KNATIVE / "base")))


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_settings_are_settings(name: str) -> None:
    data = settings_of(overlay(name))
    assert set(data) <= {variable for variable, _, _ in settings_table()}
    assert "BIGPANDA_FRONT_TOKENS" not in data
    settings = Settings.from_environment(data)
    (namespace,) = of_kind(overlay(name), "Namespace")
    assert settings.namespace == namespace
    assert settings.mlflow_image == container(functions(overlay(name))["ingest"])["image"]


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_broker_that_functions_post_to_is_the_one_of_the_overlay(name: str) -> None:
    objects = overlay(name)
    broker = of_kind(objects, "Broker")["default"]
    kafka = broker["metadata"].get("annotations", {}).get("eventing.knative.dev/broker.class") == "Kafka"
    ingress = "kafka-broker-ingress" if kafka else "broker-ingress"
    address = f"http://{ingress}.knative-eventing.svc.cluster.local/bigpanda/default"
    assert settings_of(objects)["K_SINK"] == address
    assert kafka == ("deadLetterSink" in broker["spec"]["delivery"])


@pytest.mark.parametrize("name", ["production", "okd"])
def test_images_are_named_by_digest_and_pages_by_https(name: str) -> None:
    objects = overlay(name)
    assert all("@sha256:" in container(service)["image"] for service in functions(objects).values())
    assert settings_of(objects)["BIGPANDA_PAGE_URL"].startswith("https://")


def test_pages_live_under_the_domain_that_gets_the_certificate() -> None:
    objects = overlay("production")
    (domain,) = of_kind(objects, "ConfigMap")["config-domain"]["data"]
    assert settings_of(objects)["BIGPANDA_PAGE_URL"] == f"https://{{service}}.bigpanda.{domain}"
    selector = of_kind(objects, "ConfigMap")["config-network"]["data"]["namespace-wildcard-cert-selector"]
    assert yaml.safe_load(selector) == {"matchLabels": {"kubernetes.io/metadata.name": "bigpanda"}}
    issuer = yaml.safe_load(of_kind(objects, "ConfigMap")["config-certmanager"]["data"]["issuerRef"])
    assert issuer["name"] in of_kind(objects, issuer["kind"])


@pytest.mark.parametrize("name", PLATFORMS)
def test_what_a_function_refers_to_is_there_or_asked_of_the_operator(name: str) -> None:
    objects = overlay(name)
    by_operator = {
        one["metadata"]["name"] for one in yaml.safe_load_all((KNATIVE / "secrets.example.yaml").read_text())
    }
    for service in functions(objects).values():
        for source in container(service)["envFrom"]:
            if "configMapRef" in source:
                assert source["configMapRef"]["name"] in of_kind(objects, "ConfigMap")
            else:
                assert source["secretRef"]["name"] in by_operator
    page_secret = Settings.from_environment(settings_of(objects)).page_secret
    assert page_secret in by_operator
    for secret in named_secrets(list(objects)):
        assert secret in by_operator | {"bigpanda-mlflow-acme"}  # the ACME account's key: cert-manager makes it


def named_secrets(tree: Any) -> Iterator[str]:
    """Names of Secrets beyond those of containers: Kafka's, the issuer's."""
    if isinstance(tree, list):
        for one in tree:
            yield from named_secrets(one)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key in {"privateKeySecretRef", "tsigSecretSecretRef"}:
                yield value["name"]
            elif key == "auth":
                yield value["secret"]["ref"]["name"]
            elif key == "auth.secret.ref.name":
                yield value
            else:
                yield from named_secrets(value)


def test_files_of_credentials_are_asked_of_the_operator_and_mounted_where_they_are_read(tmp_path: Path) -> None:
    by_operator = {
        one["metadata"]["name"]: one["stringData"]
        for one in yaml.safe_load_all((KNATIVE / "secrets.example.yaml").read_text())
    }
    with_stores = {"ingest": "stores", "sweep": "stores", "retain": "retention", "rollout": "page"}
    for name, service in functions(with_component(tmp_path, "credential-files")).items():
        volumes = {one["name"]: one for one in service["spec"]["template"]["spec"]["volumes"]}
        mounts = {one["name"]: one["mountPath"] for one in container(service)["volumeMounts"]}
        assert volumes.keys() == mounts.keys()
        secret = volumes.get("credentials", {}).get("secret", {}).get("secretName")
        assert secret == (f"bigpanda-mlflow-{with_stores[name]}-files" if name in with_stores else None)
        assert secret is None or by_operator[secret].keys() == {"aws", "token"}
        assert mounts.get("credentials") == (CREDENTIALS_PATH if secret else None)


@pytest.mark.parametrize("name", COMPONENTS)
def test_no_credential_is_a_literal_variable(name: str, tmp_path: Path) -> None:
    """Of functions and of pages: what their environment says itself are settings and paths."""
    pages = [
        make_service(visualize_event(), SETTINGS.model_copy(update={"page_files": secret})) for secret in (None, "x")
    ]
    for service in (*functions(with_component(tmp_path, name)).values(), *pages):
        for variable in container(service).get("env", []):
            assert not any(word in variable["name"] for word in ("AWS", "SECRET", "KEY", "PASSWORD", "BEARER"))
            assert "TOKEN" not in variable["name"] or variable["value"].startswith("/")


def test_the_example_of_secrets_holds_none() -> None:
    for secret in yaml.safe_load_all((KNATIVE / "secrets.example.yaml").read_text()):
        said = {key: value for key, value in secret["stringData"].items() if value}
        assert said in ({}, {"protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512"})


@pytest.mark.parametrize("name", PLATFORMS)
def test_triggers_and_sources_lead_to_what_is_there(name: str) -> None:
    objects = overlay(name)
    known = {kind.value for kind in (*DATA_MODELS, *EventType)}
    for trigger in of_kind(objects, "Trigger").values():
        assert trigger["spec"]["broker"] in of_kind(objects, "Broker")
        assert set(trigger_types(trigger)) <= known
        ref = trigger["spec"]["subscriber"].get("ref")
        assert ref is None or ref["name"] in functions(objects)
    for source in of_kind(objects, "PingSource").values():
        assert source["spec"]["sink"]["ref"]["name"] in functions(objects)
    sink = of_kind(objects, "Broker")["default"]["spec"]["delivery"].get("deadLetterSink")
    assert sink is None or sink["ref"]["name"] in of_kind(objects, sink["ref"]["kind"])


def trigger_types(trigger: Resource) -> list[str]:
    spec = trigger["spec"]
    if "filter" in spec:
        return [spec["filter"]["attributes"]["type"]]
    return [one["exact"]["type"] for one in spec["filters"][0]["any"]]


def test_bigpanda_hears_of_every_end_and_beginning() -> None:
    notify = of_kind(overlay("production"), "Trigger")["notify-bigpanda"]
    assert set(trigger_types(notify)) == {EventType.READY, EventType.FAILED, EventType.EXPIRED}


@pytest.mark.parametrize("name", OVERLAYS)
def test_knatives_own_settings_are_known_ones(name: str) -> None:
    for one in of_kind(overlay(name), "ConfigMap").values():
        if one["metadata"]["namespace"] in CONFIG_NAMESPACES or one["metadata"]["name"] in SCHEMAS["settings"]:
            schema = strict(SCHEMAS["settings"][one["metadata"]["name"]])
            assert list(jsonschema.Draft202012Validator(schema).iter_errors(one["data"])) == []


def test_the_operators_configuration_is_that_of_the_component(tmp_path: Path) -> None:
    by_name = of_kind(with_component(tmp_path, "knative-config"), "ConfigMap")
    wanted = {name.removeprefix("config-"): one["data"] for name, one in by_name.items() if name.startswith("config-")}
    configured = of_kind(overlay("okd/operator"), "KnativeServing")["knative-serving"]["spec"]["config"]
    assert {name: configured[name] for name in wanted} == wanted


def test_on_okd_the_operator_alone_writes_knatives_settings() -> None:
    assert {one["metadata"]["namespace"] for one in of_kind(overlay("okd"), "ConfigMap").values()} == {"bigpanda"}


def test_a_record_of_the_broker_is_forgotten_before_its_tombstone() -> None:
    data = of_kind(overlay("production"), "ConfigMap")["kafka-broker-config"]["data"]
    kept_milliseconds = int(data["default.topic.config.retention.ms"])
    retention = Settings.from_environment(settings_of(overlay("production"))).tombstone_retention
    assert kept_milliseconds < retention.total_seconds() * 1000
