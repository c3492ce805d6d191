"""What `rollout` does with the cluster's API, scene by scene, for the proof of its rights."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bigpanda_mlflow import labels
from bigpanda_mlflow.context import Context
from bigpanda_mlflow.events import Event, EventKey, EventType, ImagePublished, SnapshotPublished
from bigpanda_mlflow.names import service_name
from bigpanda_mlflow.rollout_handlers import rollout
from bigpanda_mlflow.rollout_services import begin
from bigpanda_mlflow.rollout_state import Rollout, RolloutPhase, make_rollout, move, put_rollout
from bigpanda_mlflow.verification import Verdict
from support.laptop import until

if TYPE_CHECKING:
    from support.rights_scenes import Act, Stage

_IMAGE = ImagePublished(image="registry.example/bigpanda-mlflow/mlflow@sha256:" + "1" * 64, version="2")
_SECONDS = 60.0


def _rollout(event: Event[Any], context: Context) -> None:
    rollout(event, context, lambda *_: Verdict(ok=True))


def _record(stage: "Stage", phase: RolloutPhase) -> Rollout:
    now = stage.admin.now()
    begun = move(make_rollout(EventKey(now, "i"), _IMAGE, stage.admin.settings.mlflow_image, now), phase, now)
    stage.admin.cluster.change_rollouts(lambda data: put_rollout(data, begun))
    return begun


def new_image(stage: "Stage") -> "Act":
    return stage.act(_rollout, Event(EventKey(stage.admin.now(), "i"), EventType.IMAGE_PUBLISHED, _IMAGE))


def snapshot_of_a_task(stage: "Stage") -> "Act":
    _record(stage, RolloutPhase.COMPLETED)
    data = SnapshotPublished(jeditaskid=stage.task, runs=1, points=1, segments=(), lost=(), best_value=None, digest="d")
    return stage.act(_rollout, Event(EventKey(stage.admin.now(), "s"), EventType.SNAPSHOT_PUBLISHED, data))


def candidate_that_is_taken_back(stage: "Stage") -> "Act":
    cluster, name = stage.admin.cluster, service_name(stage.task)
    for function in ("ingest", "sweep"):
        cluster.create_service(_make_function(function, stage.admin))
    stage.show()
    begun = _record(stage, RolloutPhase.ABORTING)

    def has_candidate() -> bool:
        service = cluster.get_service(name)
        assert service is not None
        return len(service["status"]["traffic"]) == 2

    service = cluster.get_service(name)
    assert service is not None
    cluster.replace_service(begin(service, begun, stage.admin.now() - timedelta(minutes=1)))
    until(has_candidate, _SECONDS, "that the candidate is routed")
    return stage.act(_rollout, Event(EventKey(stage.admin.now(), "p"), EventType.PING, None))


def _make_function(name: str, context: Context) -> dict[str, Any]:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": context.settings.namespace},
        "spec": {
            "template": {
                "metadata": {"annotations": {labels.INITIAL_SCALE: "0"}},
                "spec": {"containers": [{"image": context.settings.mlflow_image}]},
            }
        },
    }
