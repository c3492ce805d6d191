"""What a handler works with, handed to it: the cluster, this deployment's settings, the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bigpanda_mlflow.cluster import Cluster
from bigpanda_mlflow.errors import Permanent
from bigpanda_mlflow.names import service_name
from bigpanda_mlflow.rollout_state import stable_image
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.taskservice import read_service
from bigpanda_mlflow.tombstones import read_tombstone
from bigpanda_mlflow.visualization import Situation


@dataclass(frozen=True)
class Context:
    """`now` gives the current time, aware and in UTC."""

    cluster: Cluster
    settings: Settings
    now: Callable[[], datetime]

    @property
    def settings_of_new_tasks(self) -> Settings:
        """The settings with the image that the fleet has: a rollout's, once it is complete."""
        image = stable_image(self.cluster.get_rollouts(), self.settings.mlflow_image)
        return self.settings.model_copy(update={"mlflow_image": image})

    def read(self, jeditaskid: int) -> Situation:
        """The task as it stands: first its Service, then its tombstone, so that an end which came later is seen.

        Raises Permanent if the Service of that name is somebody else's.
        """
        name = service_name(jeditaskid)
        raw = self.cluster.get_service(name)
        service = None if raw is None else read_service(raw)
        if raw is not None and service is None:
            raise Permanent(f"{name} exists in the cluster but was not made by this project")
        return Situation(raw, service, read_tombstone(self.cluster.get_tombstones(), jeditaskid))
