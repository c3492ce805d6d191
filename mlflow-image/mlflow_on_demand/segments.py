"""A task's segments, each an experiment of MLflow: their ids, and what all their tarballs say of them."""

import hashlib
from dataclasses import replace

from mlflow_on_demand.database import ExperimentRow, SnapshotDatabase
from mlflow_on_demand.hyperparameters import Uses, find_hyperparameters, find_uses, join_uses
from mlflow_on_demand.layers import NoLayer, SegmentFound, TagFound
from mlflow_on_demand.snapshot import SCHEME, Experiment, Objective
from mlflow_on_demand.taken import TarballTaken
from mlflow_on_demand.tarballs import TarballName, parse_tarball_name

_DEFAULT_EXPERIMENT = "Default"
_IDS_OF_A_TASK = 1_000_000


class Segments:
    """The segments that occur in the tarballs of one build; `known` are those of a snapshot whose layer it becomes."""

    def __init__(self, jeditaskid: int, known: tuple[SegmentFound, ...]) -> None:
        self._jeditaskid = jeditaskid
        self._known = {one.segment: one for one in known}
        self._ids = {one.segment: one.experiment_id for one in known}
        self._found: dict[str, SegmentFound] = {}

    @property
    def found(self) -> tuple[SegmentFound, ...]:
        """What all tarballs, the known ones included, say of the segments that occur."""
        return tuple(self._found[segment] for segment in sorted(self._found))

    def note(self, name: TarballName, taken: TarballTaken) -> None:
        """Take in what a tarball says of its segment's experiment: of two that set the same tag, the later one in the
        order of their names counts.
        """
        found = self._found.get(name.segment) or self._before(name.segment)
        tags = {tag.key: tag for tag in found.tags}
        for key, value in taken.experiment_tags.items():
            if key not in tags or self._order_of(tags[key].tarball) <= name:
                tags[key] = TagFound(key, value, name.name)
        self._found[name.segment] = replace(
            found,
            created=min([*taken.created, *([] if found.created is None else [found.created])], default=None),
            updated=max([*taken.updated, *([] if found.updated is None else [found.updated])], default=None),
            tags=tuple(tags[key] for key in sorted(tags)),
        )

    def _before(self, segment: str) -> SegmentFound:
        return self._known.get(segment) or SegmentFound(segment, self.experiment_id(segment), None, None, (), Uses())

    def experiment_id(self, segment: str) -> int:
        """The task's own id, or for a segment the task's id and six digits made of its name, the next free ones when
        two names make the same.
        """
        if segment not in self._ids:
            digits = int.from_bytes(hashlib.sha256(segment.encode()).digest()[:8], "big") % _IDS_OF_A_TASK
            while segment and self._id_of(digits) in self._ids.values():
                digits = (digits + 1) % _IDS_OF_A_TASK
            self._ids[segment] = self._id_of(digits) if segment else self._jeditaskid
        return self._ids[segment]

    def _id_of(self, digits: int) -> int:
        return self._jeditaskid * _IDS_OF_A_TASK + digits

    def add_to(self, database: SnapshotDatabase, objective: Objective | None) -> tuple[Experiment, ...]:
        """One experiment a segment, and MLflow's experiment 0, deleted: opening a database without it would write."""
        segments = sorted(self._found) or ([] if self._known else [""])
        if self._known and _DEFAULT_EXPERIMENT in segments and _DEFAULT_EXPERIMENT not in self._known:
            raise NoLayer("the name of MLflow's own experiment changes")
        if not self._known:
            unused = _DEFAULT_EXPERIMENT if _DEFAULT_EXPERIMENT not in segments else f"{_DEFAULT_EXPERIMENT} (MLflow)"
            database.add_experiment(ExperimentRow(0, unused, f"{SCHEME}:/0", "deleted", 0, 0), {})
        return tuple(self._add_experiment(database, segment, objective) for segment in segments)

    def _add_experiment(self, database: SnapshotDatabase, segment: str, objective: Objective | None) -> Experiment:
        found = self._found.get(segment) or self._before(segment)
        name = segment or f"task {self._jeditaskid}"
        row = ExperimentRow(
            experiment_id=found.experiment_id,
            name=name,
            artifact_location=f"{SCHEME}:/{self._jeditaskid}/{found.experiment_id}",
            lifecycle_stage="active",
            creation_time=found.created,
            last_update_time=found.updated,
        )
        database.add_experiment(row, {tag.key: tag.value for tag in found.tags})
        counted = database.query(
            "SELECT count(*) FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active'", found.experiment_id
        )
        uses = join_uses(found.uses, find_uses(database, found.experiment_id, objective))
        self._found[segment] = replace(found, uses=uses)
        shown = find_hyperparameters(uses)
        return Experiment(str(found.experiment_id), name, segment, int(str(counted[0][0])), shown.varied, shown.axes)

    def _order_of(self, tarball: str) -> TarballName:
        return parse_tarball_name(tarball, self._jeditaskid) or TarballName("", 0, tarball)
