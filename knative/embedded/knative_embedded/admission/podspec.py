"""Defaulting and validation of a Revision's spec: the part of a pod that Knative lets a user say. Pure.

Source: knative/serving pkg/apis/serving/v1/revision_defaults.go and pkg/apis/serving/{k8s_validation,fieldmask}.go,
with Knative's default feature flags.
"""

import re
from typing import Any

from knative_embedded.admission.fielderrors import (
    CURRENT,
    Errors,
    FieldError,
    disallowed,
    invalid_value,
    missing,
    missing_one_of,
    multiple_one_of,
    out_of_bounds,
    via,
)
from knative_embedded.admission.names import complain_dns_1123_subdomain
from knative_embedded.objects import Object, copy_of

TIMEOUT_DEFAULT, TIMEOUT_MAX = 300, 600
CONCURRENCY_MAX = 1000
RESERVED_ENV = {"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"}
RESERVED_PORTS = {8012, 8013, 8022, 9090, 9091, 8008}
_REVISION_FIELDS = {"containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds"}
_POD_FIELDS = {
    "serviceAccountName", "containers", "initContainers", "volumes", "imagePullSecrets", "enableServiceLinks",
    "automountServiceAccountToken", "securityContext",
}  # fmt: skip
_GATED_FIELDS = {
    "affinity", "dnsConfig", "dnsPolicy", "hostAliases", "initContainers", "nodeSelector", "priorityClassName",
    "runtimeClassName", "schedulerName", "securityContext", "shareProcessNamespace", "tolerations",
    "topologySpreadConstraints",
}  # fmt: skip
_VOLUME_SOURCES = ("configMap", "emptyDir", "projected", "secret")
_CONTAINER_FIELDS = {
    "name", "args", "command", "env", "workingDir", "envFrom", "image", "imagePullPolicy", "livenessProbe", "ports",
    "readinessProbe", "startupProbe", "resources", "securityContext", "terminationMessagePath",
    "terminationMessagePolicy", "volumeMounts",
}  # fmt: skip
_KNOWN_FIELDS = _REVISION_FIELDS | _POD_FIELDS | _GATED_FIELDS
_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
_IMAGE = re.compile(
    r"(?P<name>[a-z0-9.-]+(:\d+)?(/[a-z0-9_.-]+)*|[a-z0-9_.-]+(/[a-z0-9_.-]+)*)"
    r"(:(?P<tag>[\w][\w.-]{0,127}))?(@sha256:(?P<digest>[0-9a-f]{64}))?"
)


def default_revision_spec(spec: Object, *, creating: bool) -> Object:
    """The spec with Knative's defaults filled in."""
    made = _prune(spec)
    made.setdefault("containerConcurrency", 0)
    made["timeoutSeconds"] = made.get("timeoutSeconds") or TIMEOUT_DEFAULT
    if creating:
        made.setdefault("enableServiceLinks", False)
    containers = made.get("containers") or []
    for number, container in enumerate(containers):
        if not container.get("name"):
            container["name"] = "user-container" if len(containers) == 1 else f"user-container-{number}"
        container.setdefault("resources", {})
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")
        if len(containers) == 1 or container.get("ports"):
            _default_probe(container)
        _default_mounts(container, made.get("volumes") or [])
    return made


def _prune(spec: Object) -> Object:
    """A copy without the fields that the schema does not have: the API server drops them before any webhook."""
    made = {key: value for key, value in copy_of(spec).items() if key in _KNOWN_FIELDS}
    for container in made.get("containers") or []:
        for key in container.keys() - _CONTAINER_FIELDS:
            del container[key]
    return made


def _default_probe(container: Object) -> None:
    probe = container.setdefault("readinessProbe", {})
    if not any(handler in probe for handler in _HANDLERS):
        probe["tcpSocket"] = {}
    for handler in ("httpGet", "tcpSocket"):
        if handler in probe:
            probe[handler].setdefault("port", 0)
    probe["successThreshold"] = probe.get("successThreshold") or 1
    if probe.get("periodSeconds"):
        probe.setdefault("failureThreshold", 3)
        probe.setdefault("timeoutSeconds", 1)


def _default_mounts(container: Object, volumes: list[Object]) -> None:
    writable = {one.get("name") for one in volumes if "emptyDir" in one or "persistentVolumeClaim" in one}
    for mount in container.get("volumeMounts") or []:
        if mount.get("name") not in writable:
            mount["readOnly"] = True


def find_unknown_fields(spec: Object) -> list[str]:
    """Fields of a spec and of its containers that Knative's schema does not have, as paths."""
    found = sorted(spec.keys() - _KNOWN_FIELDS)
    for number, container in enumerate(spec.get("containers") or []):
        found += [f"containers[{number}].{field}" for field in sorted(container.keys() - _CONTAINER_FIELDS)]
    return found


def validate_revision_spec(spec: Object) -> Errors:
    """All findings about a defaulted spec."""
    found = _validate_gated(spec)
    timeout, concurrency = spec["timeoutSeconds"], spec["containerConcurrency"]
    if not 0 <= timeout <= TIMEOUT_MAX:
        found.append(out_of_bounds(timeout, 0, TIMEOUT_MAX, "timeoutSeconds"))
    if not 0 <= concurrency <= CONCURRENCY_MAX:
        found.append(out_of_bounds(concurrency, 0, CONCURRENCY_MAX, "containerConcurrency"))
    containers, volumes = spec.get("containers") or [], spec.get("volumes") or []
    if not containers:
        found.append(missing("containers"))
    if sum(len(container.get("ports") or []) for container in containers) > 1:
        details = "Only a single port is allowed across all containers"
        found.append(FieldError("more than one container port is set", ("containers[*].ports",), details))
    found += via(_validate_volumes(containers, volumes), "volumes")
    names = {volume.get("name") for volume in volumes}
    for number, container in enumerate(containers):
        found += via(_validate_container(container, names), f"containers[{number}]")
    return found


def _validate_gated(spec: Object) -> Errors:
    """What is behind a feature flag, all of which are off."""
    gated = sorted(field for field in _GATED_FIELDS & spec.keys() if spec[field])
    inner = [f"securityContext.{field}" for field in sorted(spec.get("securityContext") or {})]
    found = [disallowed(*gated, *inner)] if gated else []
    if inits := spec.get("initContainers"):
        found.append(
            FieldError(f"pod spec support for init-containers is off, but found {len(inits)} init containers", ("",))
        )
    account = spec.get("serviceAccountName") or ""
    if account and (complaint := complain_dns_1123_subdomain(account)):
        found.append(invalid_value(account, "serviceAccountName", complaint))
    return found


def _validate_volumes(containers: list[Object], volumes: list[Object]) -> Errors:
    mounted = {mount.get("name") for one in containers for mount in one.get("volumeMounts") or []}
    found: Errors = []
    seen: set[str] = set()
    for number, volume in enumerate(volumes):
        name = volume.get("name", "")
        if name in seen:
            found.append(FieldError(f'duplicate volume name "{name}"', (f"[{number}].name",)))
        if name not in mounted:
            found.append(FieldError(f'volume with name "{name}" not mounted', (f"[{number}].name",)))
        if not volume.keys() & set(_VOLUME_SOURCES):
            found.append(missing_one_of(*(f"[{number}].{source}" for source in _VOLUME_SOURCES)))
        seen.add(name)
    return found


def _validate_container(container: Object, volumes: set[Any]) -> Errors:
    found: Errors = []
    if container.get("name") == "queue-proxy":
        found.append(FieldError('"queue-proxy" is a reserved container name', ("name",)))
    for number, variable in enumerate(container.get("env") or []):
        found += via(_validate_variable(variable), "env", f"[{number}]")
    for source in container.get("envFrom") or []:
        found += via(_validate_env_from(source), "envFrom")
    found += _validate_image(container.get("image") or "")
    found += via(_validate_ports(container.get("ports") or []), "ports")
    for number, mount in enumerate(container.get("volumeMounts") or []):
        if mount.get("name") not in volumes:
            found.append(FieldError("volumeMount has no matching volume", (f"volumeMounts[{number}].name",)))
        if not str(mount.get("mountPath", "")).startswith("/"):
            found.append(invalid_value(mount.get("mountPath", ""), f"volumeMounts[{number}].mountPath"))
    for name in ("readinessProbe", "livenessProbe", "startupProbe"):
        if container.get(name):
            found += via(_validate_probe(container[name], readiness=name == "readinessProbe"), name)
    return found


def _validate_variable(variable: Object) -> Errors:
    name = variable.get("name")
    if not name:
        return [missing("name")]
    if name in RESERVED_ENV:
        return [FieldError(f'"{name}" is a reserved environment variable', ("name",))]
    unknown = sorted((variable.get("valueFrom") or {}).keys() - {"configMapKeyRef", "secretKeyRef"})
    return via([disallowed(*unknown)], "valueFrom") if unknown else []


def _validate_env_from(source: Object) -> Errors:
    given = [name for name in ("configMapRef", "secretRef") if source.get(name)]
    if len(given) == 1:
        return []
    return [(multiple_one_of if given else missing_one_of)("configMapRef", "secretRef")]


def _validate_image(image: str) -> Errors:
    if not image:
        return [missing("image")]
    if _IMAGE.fullmatch(image):
        return []
    details = f'image: "{image}", error: could not parse reference: {image}'
    return [FieldError("Failed to parse image reference", ("image",), details)]


def _validate_ports(ports: list[Object]) -> Errors:
    found: Errors = []
    for port in ports[:1]:
        number, name = port.get("containerPort", 0), port.get("name", "")
        if number in RESERVED_PORTS:
            text = f"{number} is a reserved port"
            found.append(invalid_value(text, "containerPort", f"{text}, please use a different value"))
        if not 0 <= number <= 65535:
            found.append(out_of_bounds(number, 0, 65535, "containerPort"))
        if port.get("protocol", "TCP") != "TCP":
            found.append(invalid_value(port["protocol"], "protocol"))
        if name not in {"", "h2c", "http1"}:
            details = "Name must be empty, or one of: 'h2c', 'http1'"
            found.append(FieldError(f"Port name {name} is not allowed", (CURRENT,), details))
    return found


def _validate_probe(probe: Object, *, readiness: bool) -> Errors:
    handlers = [name for name in _HANDLERS if probe.get(name) is not None]
    found: Errors = []
    if not handlers:
        found.append(missing_one_of(*_HANDLERS))
    elif len(handlers) > 1:
        found.append(multiple_one_of(*handlers))
    if not readiness:
        return found
    for field in ("periodSeconds", "initialDelaySeconds"):
        if probe.get(field, 0) < 0:
            found.append(out_of_bounds(probe[field], 0, 2**31 - 1, field))
    if not probe.get("periodSeconds"):
        for field in ("failureThreshold", "timeoutSeconds"):
            if probe.get(field):
                found.append(FieldError(f"{field} is disallowed when periodSeconds is zero", (field,)))
    return found
