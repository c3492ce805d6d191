"""Every label and annotation that this project writes to the cluster, and Knative's that it sets: once, by name."""

from typing import Final

PREFIX: Final = "bigpanda.cern.ch"

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
"""Label of everything these functions made; its value is `MANAGED_BY_US`."""
MANAGED_BY_US: Final = "bigpanda-mlflow"

JEDITASKID: Final = f"{PREFIX}/jeditaskid"
"""Label: the PanDA task that a Service shows."""

OWNER: Final = f"{PREFIX}/owner"
EXPIRES_AT: Final = f"{PREFIX}/expires-at"
EVENT_TIME: Final = f"{PREFIX}/event-time"
EVENT_ID: Final = f"{PREFIX}/event-id"
ARTIFACTS: Final = f"{PREFIX}/artifacts"
"""Annotation: a JSON list of the URIs that the newest event named."""
OBJECTIVE: Final = f"{PREFIX}/objective"
"""Annotation: the JSON object of the newest event's objective; absent where it named none."""
MAX_POINTS: Final = f"{PREFIX}/max-points"
"""Annotation: how many points the newest event says the task was to evaluate; absent where it does not."""

ROLLOUT: Final = f"{PREFIX}/rollout"
"""Annotation: a JSON object, where this Service stands in which rollout (rollout_state.ServiceState)."""

VISIBILITY: Final = "networking.knative.dev/visibility"
MIN_SCALE: Final = "autoscaling.knative.dev/min-scale"
MAX_SCALE: Final = "autoscaling.knative.dev/max-scale"
INITIAL_SCALE: Final = "autoscaling.knative.dev/initial-scale"
WINDOW: Final = "autoscaling.knative.dev/window"

TOMBSTONES: Final = "bigpanda-mlflow-tombstones"
"""Name of the one ConfigMap that remembers ended tasks."""

ROLLOUTS: Final = "bigpanda-mlflow-rollouts"
"""Name of the one ConfigMap with the records of the last rollouts, and of the Lease of whoever takes their steps."""
REVISION_OF: Final = "serving.knative.dev/service"
"""Knative's label on a Revision: its Service."""
