"""From a Revision to the process that stands for its pod: argv, environment, working directory. Pure.

Sources: Kubernetes' container command, args and env rules; Knative's runtime contract (PORT, K_SERVICE,
K_CONFIGURATION, K_REVISION). Promise: of the runtime's own environment a pod sees only what is listed here.
"""

import base64
import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from knative_embedded import labels
from knative_embedded.objects import Object, labels_of, name_of, spec_of
from knative_embedded.pods.images import Image, find_image

INHERITED = ("PATH", "LANG", "LANGUAGE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")

Find = Callable[[str, str], Object | None]
"""A ConfigMap or Secret by its plural (`configmaps`, `secrets`) and name."""


class CannotRun(Exception):
    """The Revision asks for what cannot be had here; `reason` is the condition's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class Plan:
    """A process to start."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    workdir: Path


@dataclasses.dataclass(frozen=True)
class Place:
    """Where and as what a pod runs."""

    pod: str
    home: Path
    port: int
    kubeconfig: Path
    inherited: Mapping[str, str]
    executables: Path


def check_revision(revision: Object, images: Mapping[str, Image]) -> Image:
    """The image of a Revision that can run here. Raises CannotRun."""
    containers = spec_of(revision)["containers"]
    if len(containers) != 1 or spec_of(revision).get("initContainers"):
        raise CannotRun("UnsupportedContainers", "The embedded runtime runs one container and no init containers.")
    container = containers[0]
    kinds = {volume["name"]: volume for volume in spec_of(revision).get("volumes") or []}
    for mount in container.get("volumeMounts") or []:
        if mount["mountPath"].rstrip("/") != "/tmp" or "emptyDir" not in kinds[mount["name"]]:  # noqa: S108
            what = f"volume {mount['name']!r} at {mount['mountPath']}: only an emptyDir at /tmp"
            raise CannotRun("UnsupportedVolume", f"The embedded runtime cannot mount {what}.")
    for handler in ("exec", "grpc"):
        if handler in container.get("readinessProbe", {}):
            raise CannotRun(
                "UnsupportedProbe", f"The embedded runtime cannot probe by {handler}: use httpGet or tcpSocket."
            )
    image = find_image(images, container["image"])
    if image is None:
        message = (
            f'Unable to fetch image "{container["image"]}": the image file of the embedded runtime has no such name'
        )
        raise CannotRun("ContainerMissing", message)
    return image


def inherit(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of the runtime's environment that pods may see."""
    return {key: value for key, value in environ.items() if key in INHERITED or key.startswith("LC_")}


def make_plan(revision: Object, image: Image, place: Place, find: Find) -> Plan:
    """The process of one pod. Raises CannotRun when a Secret or ConfigMap is missing."""
    container = spec_of(revision)["containers"][0]
    declared = _declared_env(revision, container, place, find)
    path = f"{place.executables}:{place.inherited.get('PATH', '/usr/bin:/bin')}"
    env = {**place.inherited, "PATH": path, "HOME": str(place.home), "TMPDIR": str(place.home)}
    if spec_of(revision).get("automountServiceAccountToken") is not False:
        env["KUBECONFIG"] = str(place.kubeconfig)
    env |= {**image.env, **declared}
    command, args = container.get("command") or [], container.get("args") or []
    argv = [*command, *args] if command else [*image.entrypoint, *(args or image.cmd)]
    workdir = Path(container["workingDir"]) if container.get("workingDir") else image.workdir or place.home
    return Plan(tuple(expand(part, declared) for part in argv), env, workdir)


def _declared_env(revision: Object, container: Object, place: Place, find: Find) -> dict[str, str]:
    env: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        prefix = source.get("prefix", "")
        env |= {prefix + key: value for key, value in _read_source(source, find).items()}
    for variable in container.get("env") or []:
        origin = variable.get("valueFrom")
        if origin:
            value = _read_value(origin, find)
            if value is not None:
                env[variable["name"]] = value
        else:
            env[variable["name"]] = expand(str(variable.get("value", "")), env)
    configuration = labels_of(revision).get(labels.CONFIGURATION, "")
    return env | {
        "PORT": str(place.port),
        "K_REVISION": name_of(revision),
        "K_CONFIGURATION": configuration,
        "K_SERVICE": labels_of(revision).get(labels.SERVICE, configuration),
    }


def _read_source(source: Object, find: Find) -> dict[str, str]:
    plural = "secrets" if source.get("secretRef") else "configmaps"
    reference = source.get("secretRef") or source["configMapRef"]
    found = find(plural, reference["name"])
    if found is None:
        if reference.get("optional"):
            return {}
        raise _missing(plural, reference["name"])
    return _texts(plural, found)


def _read_value(origin: Object, find: Find) -> str | None:
    plural = "secrets" if origin.get("secretKeyRef") else "configmaps"
    reference = origin.get("secretKeyRef") or origin["configMapKeyRef"]
    found = find(plural, reference["name"])
    texts = _texts(plural, found) if found is not None else {}
    if reference["key"] in texts:
        return texts[reference["key"]]
    if reference.get("optional"):
        return None
    if found is None:
        raise _missing(plural, reference["name"])
    message = f"couldn't find key {reference['key']} in {plural[:-1]} {reference['name']}"
    raise CannotRun("CreateContainerConfigError", message)


def _missing(plural: str, name: str) -> CannotRun:
    return CannotRun("CreateContainerConfigError", f'{plural[:-1]} "{name}" not found')


def _texts(plural: str, thing: Object) -> dict[str, str]:
    data: dict[str, str] = thing.get("data") or {}
    if plural == "secrets":
        return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}
    return data


def expand(text: str, env: Mapping[str, str]) -> str:
    """Kubernetes' `$(NAME)`: known names are replaced, unknown ones stay, `$$(NAME)` is a literal."""

    def replace(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        return env.get(found[2], found[0])

    return _REFERENCE.sub(replace, text)
