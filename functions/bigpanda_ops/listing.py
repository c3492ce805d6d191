"""The fleet as rows: what each task's Service says of itself, and what its snapshot holds."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from bigpanda_mlflow import labels
from bigpanda_mlflow.rollout_state import read_state
from bigpanda_mlflow.taskservice import read_service
from bigpanda_mlflow.taskstatus import TaskState, read_status
from bigpanda_mlflow.times import format_time
from bigpanda_mlflow.traffic import Resource, current_revision
from bigpanda_mlflow.visualization import Situation
from bigpanda_ops.connection import Connection, reaching
from bigpanda_ops.outcomes import Misused
from bigpanda_ops.snapshots import find_published
from mlflow_on_demand.errors import OnDemandError

_AT_ONCE = 8
_LISTED = (TaskState.READY, TaskState.PENDING, TaskState.FAILED)


@dataclass(frozen=True)
class Row:
    """One task. `runs` and `points` are None where no snapshot could be read; `rollout` is where it stands in one."""

    jeditaskid: int
    owner: str
    state: TaskState
    reason: str
    url: str
    expires_at: datetime | None
    revision: str
    image: str
    rollout: dict[str, object] | None
    runs: int | None = None
    points: int | None = None

    @property
    def short_image(self) -> str:
        """The image's last name and the beginning of its digest."""
        name, _, digest = self.image.partition("@")
        return f"{name.rpartition('/')[2]}{f'@{digest[:19]}' if digest else ''}"

    def as_json(self) -> dict[str, object]:
        """For scripts; what is not known is left out."""
        fields = {
            **vars(self),
            "state": self.state.value,
            "expires_at": None if self.expires_at is None else format_time(self.expires_at),
        }
        return {name: value for name, value in fields.items() if value not in (None, "")}


def check_state(state: str | None) -> None:
    """Raises Misused for a state that no task with a page is in."""
    names = [one.value for one in _LISTED]
    if state is not None and state not in names:
        raise Misused(f"--state is one of {', '.join(names)}, not {state}")


def read_rows(connection: Connection) -> list[Row]:
    """All tasks with a page, by id. Raises Unreachable."""
    with reaching():
        images = {one["metadata"]["name"]: _image_of(one["spec"]) for one in connection.cluster.list_revisions()}
        services = connection.cluster.list_services()
        rows = [row for service in services if (row := _read_row(service, images, connection)) is not None]
    return sorted(rows, key=lambda row: row.jeditaskid)


def _read_row(raw: Resource, images: Mapping[str, str], connection: Connection) -> Row | None:
    service = read_service(raw)
    if service is None:
        return None
    status = read_status(service.jeditaskid, Situation(raw, service, None), connection.settings)
    notes = raw["metadata"].get("annotations", {})
    rollout = read_state(notes.get(labels.ROLLOUT))
    revision = current_revision(raw)
    return Row(
        jeditaskid=service.jeditaskid,
        owner=notes.get(labels.OWNER, ""),
        state=status.state,
        reason=status.reason or "",
        url=status.url or "",
        expires_at=service.expires_at,
        revision=revision,
        # The template may have a candidate's already.
        image=images.get(revision) or _image_of(raw["spec"]["template"]["spec"]),
        rollout=None if rollout is None else rollout.as_json(),
    )


def _image_of(pod: Resource) -> str:
    return str(pod["containers"][0]["image"])


def add_snapshots(connection: Connection, rows: Sequence[Row]) -> tuple[list[Row], tuple[int, str] | None]:
    """The rows with runs and points, and of how many tasks nobody could tell, with the first reason."""
    store = connection.snapshot_store

    def look(row: Row) -> Row | str:
        try:
            found = find_published(store, row.jeditaskid)
        except OnDemandError as error:
            return str(error)
        if not found or found[0].manifest is None:
            return replace(row, runs=0, points=0)
        return replace(row, runs=found[0].manifest.runs, points=found[0].manifest.points)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        looked = list(pool.map(look, rows))
    reasons = [one for one in looked if isinstance(one, str)]
    filled = [row if isinstance(one, str) else one for row, one in zip(rows, looked, strict=True)]
    return filled, (len(reasons), reasons[0]) if reasons else None
