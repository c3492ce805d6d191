"""A running process as the Pod object that `kubectl get pods` shows. Pure."""

import datetime as dt

from knative_embedded import labels
from knative_embedded.objects import Object, labels_of, name_of, namespace_of, spec_of, timestamp, uid_of


def make_pod(revision: Object, name: str, port: int, now: dt.datetime, *, ready: bool) -> Object:
    """The Pod of one process of a Revision."""
    owned = {
        key: value
        for key, value in labels_of(revision).items()
        if key in {labels.SERVICE, labels.SERVICE_UID, labels.CONFIGURATION, labels.CONFIGURATION_UID}
        or key == labels.CONFIGURATION_GENERATION
    }
    owned |= {"app": name_of(revision), labels.REVISION: name_of(revision), labels.REVISION_UID: uid_of(revision)}
    container = spec_of(revision)["containers"][0]
    state = {"running": {"startedAt": timestamp(now)}}
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": timestamp(now)}],
        "podIP": "127.0.0.1",
        "hostIP": "127.0.0.1",
        "startTime": timestamp(now),
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": ready,
                "started": True,
                "restartCount": 0,
                "state": state,
            }
        ],
    }
    served = container | {"ports": [{"name": "user-port", "containerPort": port, "protocol": "TCP"}]}
    spec = {key: value for key, value in spec_of(revision).items() if key != "containerConcurrency"}
    owner = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "name": name_of(revision),
        "uid": uid_of(revision),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace_of(revision),
            "labels": owned,
            "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
        },
        "spec": spec | {"containers": [served], "restartPolicy": "Always", "nodeName": "localhost"},
        "status": status,
    }
