"""Every label, annotation and well-known name of Kubernetes and Knative that the runtime reads or writes, once.

Source: knative/serving pkg/apis/serving/register.go, pkg/apis/autoscaling/register.go; knative/networking.
"""

SERVICE = "serving.knative.dev/service"
SERVICE_UID = "serving.knative.dev/serviceUID"
CONFIGURATION = "serving.knative.dev/configuration"
CONFIGURATION_UID = "serving.knative.dev/configurationUID"
CONFIGURATION_GENERATION = "serving.knative.dev/configurationGeneration"
REVISION = "serving.knative.dev/revision"
REVISION_UID = "serving.knative.dev/revisionUID"
ROUTING_STATE = "serving.knative.dev/routingState"
ROUTING_STATE_MODIFIED = "serving.knative.dev/routingStateModified"
ROUTES = "serving.knative.dev/routes"
CREATOR = "serving.knative.dev/creator"
LAST_MODIFIER = "serving.knative.dev/lastModifier"
ROLLOUT_DURATION = "serving.knative.dev/rollout-duration"
PROGRESS_DEADLINE = "serving.knative.dev/progress-deadline"
VISIBILITY = "networking.knative.dev/visibility"
CLUSTER_LOCAL = "cluster-local"

AUTOSCALING = "autoscaling.knative.dev"
MIN_SCALE = (f"{AUTOSCALING}/min-scale", f"{AUTOSCALING}/minScale")
MAX_SCALE = (f"{AUTOSCALING}/max-scale", f"{AUTOSCALING}/maxScale")
INITIAL_SCALE = (f"{AUTOSCALING}/initial-scale", f"{AUTOSCALING}/initialScale")
TARGET = (f"{AUTOSCALING}/target",)
METRIC = f"{AUTOSCALING}/metric"
WINDOW = (f"{AUTOSCALING}/window",)
RETENTION = (f"{AUTOSCALING}/scale-to-zero-pod-retention-period", f"{AUTOSCALING}/scaleToZeroPodRetentionPeriod")

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NAMESPACE_NAME = "kubernetes.io/metadata.name"
BROKER = "eventing.knative.dev/broker"
BROKER_CLASS = "eventing.knative.dev/broker.class"

USER = "knative-embedded"
CLUSTER_DOMAIN = "cluster.local"
BROKER_HOST = f"broker-ingress.knative-eventing.svc.{CLUSTER_DOMAIN}"


def first(annotations: dict[str, str], keys: tuple[str, ...]) -> tuple[str, str] | None:
    """The first of these keys that is set, with its value: Knative accepts two spellings."""
    for key in keys:
        if key in annotations:
            return key, annotations[key]
    return None
