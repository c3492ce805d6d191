"""The objects that follow from others: Service → Configuration and Route, Configuration → Revision. Pure.

Source: knative/serving pkg/reconciler/service/resources, pkg/reconciler/configuration/resources.
"""

import datetime as dt

from knative_embedded import labels
from knative_embedded.control.revision_names import asked_name
from knative_embedded.objects import (
    Object,
    annotations_of,
    controller_reference,
    copy_of,
    generation_of,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    timestamp,
    uid_of,
)

_SERVING = "serving.knative.dev/v1"


def make_configuration(service: Object) -> Object:
    """The Configuration of a Service: its template, its labels, its annotations."""
    left_out = {labels.LAST_APPLIED, labels.ROLLOUT_DURATION}
    annotations = {key: value for key, value in annotations_of(service).items() if key not in left_out}
    owned = {labels.SERVICE: name_of(service), labels.SERVICE_UID: uid_of(service)}
    return {
        "apiVersion": _SERVING,
        "kind": "Configuration",
        "metadata": {
            "name": name_of(service),
            "namespace": namespace_of(service),
            "ownerReferences": [controller_reference(service)],
            "labels": {**labels_of(service), **owned},
            "annotations": {**annotations, labels.ROUTES: name_of(service)},
        },
        "spec": {"template": copy_of(spec_of(service)["template"])},
    }


def make_route(service: Object) -> Object:
    """The Route of a Service: its traffic, where what floats follows the Service's Configuration."""
    traffic = []
    for target in spec_of(service)["traffic"]:
        floating = {} if target.get("revisionName") else {"configurationName": name_of(service)}
        traffic.append({**target, **floating})
    annotations = {key: value for key, value in annotations_of(service).items() if key != labels.LAST_APPLIED}
    return {
        "apiVersion": _SERVING,
        "kind": "Route",
        "metadata": {
            "name": name_of(service),
            "namespace": namespace_of(service),
            "ownerReferences": [controller_reference(service)],
            "labels": {**labels_of(service), labels.SERVICE: name_of(service)},
            "annotations": annotations,
        },
        "spec": {"traffic": traffic},
    }


def revision_name(configuration: Object) -> str:
    """The name that the template asks for, or `<configuration>-00001` by generation."""
    return asked_name(configuration) or f"{name_of(configuration)}-{generation_of(configuration):05d}"


def make_revision(configuration: Object, now: dt.datetime) -> Object:
    """The Revision of a Configuration's present generation."""
    template = copy_of(spec_of(configuration)["template"])
    owned = {
        labels.CONFIGURATION: name_of(configuration),
        labels.CONFIGURATION_GENERATION: str(generation_of(configuration)),
        labels.CONFIGURATION_UID: uid_of(configuration),
        labels.ROUTING_STATE: "pending",
    }
    for key in (labels.SERVICE, labels.SERVICE_UID):
        if key in labels_of(configuration):
            owned[key] = labels_of(configuration)[key]
    routes = annotations_of(configuration).get(labels.ROUTES)
    routed = {labels.ROUTING_STATE_MODIFIED: timestamp(now)}
    if modifier := annotations_of(configuration).get(labels.LAST_MODIFIER):
        routed[labels.CREATOR] = modifier
    if routes:
        owned[labels.ROUTING_STATE] = "active"
        routed[labels.ROUTES] = routes
    return {
        "apiVersion": _SERVING,
        "kind": "Revision",
        "metadata": {
            "name": revision_name(configuration),
            "namespace": namespace_of(configuration),
            "ownerReferences": [controller_reference(configuration)],
            "labels": {**labels_of(template), **owned},
            "annotations": {**annotations_of(template), **routed},
        },
        "spec": template["spec"],
    }


def carry_over(existing: Object, wanted: Object) -> Object:
    """An existing child brought to what is wanted: labels, annotations and spec; everything else stays."""
    made = copy_of(existing)
    made["metadata"]["labels"] = wanted["metadata"]["labels"]
    made["metadata"]["annotations"] = wanted["metadata"]["annotations"]
    made["spec"] = wanted["spec"]
    return made
