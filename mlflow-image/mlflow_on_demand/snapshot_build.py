"""Builds one snapshot in a scratch directory: tarballs go in, in order; what is to be published comes out.

Segments become experiments. Ids depend on names alone, so they stay the same when more tarballs arrive. When two
tarballs bring the same run, the better one counts (`ranks`).
"""

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from mlflow_on_demand.bundle import Spool, Spooled
from mlflow_on_demand.checksums import DigestedStream
from mlflow_on_demand.compact import Compact
from mlflow_on_demand.database import ModelRow, RunRow, SnapshotDatabase
from mlflow_on_demand.errors import TarballError
from mlflow_on_demand.filestore import RunMeta
from mlflow_on_demand.intake import Intake
from mlflow_on_demand.layers import NOTHING, Index, NoLayer, add_checksum, in_order
from mlflow_on_demand.lineage import ModelMeta
from mlflow_on_demand.mlflow_facts import mlflow_version, schema_revision
from mlflow_on_demand.packing import pack
from mlflow_on_demand.points import PointsHold
from mlflow_on_demand.ranks import Rank, Ranks
from mlflow_on_demand.registry import Numbers, renumber
from mlflow_on_demand.registry_rows import Registry
from mlflow_on_demand.segments import Segments
from mlflow_on_demand.snapshot import (
    FORMAT,
    SCHEME,
    Lost,
    Manifest,
    Objective,
    ObjectRef,
)
from mlflow_on_demand.summary import find_best
from mlflow_on_demand.taken import ModelTaken, RunTaken, TarballTaken
from mlflow_on_demand.tarballs import TarballName
from mlflow_on_demand.trace_rows import SOURCE_RUN, TRACES, Traces
from mlflow_on_demand.unpack import Limits

_log = logging.getLogger(__name__)

_MODELS = "models"


@dataclass(frozen=True)
class Built:
    """What a build came to: what its manifest and index say, and its objects as local files."""

    manifest: Manifest
    index: Index
    database: Path
    bundle: Path
    has_artifacts: bool


class SnapshotBuild:
    """One snapshot in the making; `add_tarball` in order, then `finish`, and `close` in any case."""

    def __init__(self, jeditaskid: int, scratch: Path, limits: Limits, known: Index = NOTHING) -> None:
        """`known` is what a snapshot holds to which this one shall be a layer."""
        self._jeditaskid = jeditaskid
        self._known_runs = frozenset(known.runs)
        self._checksum = "0"
        self._scratch = scratch
        self._database = SnapshotDatabase(scratch / "building.db")
        self._spool = Spool(scratch / "artifacts")
        self._hold = PointsHold(scratch)
        self._intake = Intake(self._hold, self._spool, limits)
        self._ranks = Ranks(scratch / "ranks.db")
        self._artifacts: dict[str, tuple[Spooled, ...]] = {}
        self._segments = Segments(jeditaskid, known.segments)
        self._traces = Traces(self._database, jeditaskid, known.traces)
        self._registry = Registry(self._database, jeditaskid, known.registered)
        self._lost: list[Lost] = []
        self._points = 0
        self._damaged_lines = 0

    def add_tarball(self, name: TarballName, stream: BinaryIO) -> None:
        """Take one tarball in; what is wrong with it is noted, never raised. NoLayer if it cannot be a layer's."""
        summed = DigestedStream(stream)
        try:
            taken = self._intake.take(cast("BinaryIO", summed))
        except TarballError as error:
            _log.warning("tarball lost", extra={"tarball": name.name, "reason": str(error)})
            self._lost.append(Lost(name.name, str(error)))
            return
        finally:
            read = hashlib.sha256(name.name.encode() + summed.digest.digest())
            self._checksum = add_checksum(self._checksum, int.from_bytes(read.digest(), "big"))
        self._add_taken(name, taken)
        self._segments.note(name, taken)
        _log.debug("tarball read", extra={"tarball": name.name})

    def finish(self, objective: Objective | None) -> Built:
        """Write database and bundle out and close; the manifest names neither them nor any source yet, and no gaps
        between these.
        """
        experiments = self._segments.add_to(self._database, objective)
        runs, points = self._database.query(
            "SELECT (SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'), (SELECT count(*) FROM metrics)"
        )[0]
        best = find_best(self._database, objective)
        nothing = ObjectRef("", 0, "")
        manifest = Manifest(
            format=FORMAT,
            jeditaskid=self._jeditaskid,
            mlflow_version=mlflow_version(),
            schema_revision=schema_revision(),
            digest="",
            database=nothing,
            bundle=nothing,
            summary=nothing,
            sources=(),
            lost=in_order(self._jeditaskid, tuple(self._lost)),
            missing_serials=(),
            experiments=experiments,
            runs=_whole(runs),
            points=self._points,
            metric_points=_whole(points),
            damaged_lines=self._damaged_lines,
            objective=objective,
            best=best[0].run if best else None,
            metrics=self._names("SELECT DISTINCT key FROM latest_metrics ORDER BY key"),
            params=self._names("SELECT DISTINCT key FROM params ORDER BY key"),
        )
        index = Index(
            runs=Compact(self._ranks),
            segments=self._segments.found,
            best=best,
            checksum=self._checksum,
            traces=self._traces.find_ids(),
            registered=self._registry.find_names(),
        )
        built = self._write_out(manifest, index)
        self.close()
        return built

    def close(self) -> None:
        """Let go of the scratch files, which their directory's owner removes."""
        self._database.close()
        self._spool.close()
        self._hold.close()
        self._ranks.close()

    def _add_taken(self, name: TarballName, taken: TarballTaken) -> None:
        experiment_id = self._segments.experiment_id(name.segment)
        datasets = {
            place: self._database.add_dataset(experiment_id, dataset)
            for place, dataset in sorted(taken.datasets.items())
        }
        metas = {place: run.meta for place, run in sorted(taken.runs.items()) if run.meta}
        counting = {place: meta for place, meta in metas.items() if self._counts(name, taken.runs[place], meta)}
        passed_over = {meta.run_uuid for meta in metas.values()} - {meta.run_uuid for meta in counting.values()}
        numbers = self._registry.add(name, experiment_id, taken.registered, passed_over)
        for (experiment, directory), meta in counting.items():
            run = taken.runs[experiment, directory]
            self._add_run(name, run, meta, numbers)
            for link in run.links:
                target = datasets.get((experiment, link.target)) if link.kind == "DATASET" else link.target
                if target is not None:
                    self._database.add_link(meta.run_uuid, replace(link, target=target))
        for _, model in sorted(taken.models.items()):
            if model.meta is not None and model.meta.source_run_id not in passed_over:
                self._add_model(experiment_id, model, model.meta, numbers)
        for _, trace in sorted(taken.traces.items()):
            is_ours = trace.info is not None and trace.metadata.get(SOURCE_RUN) not in passed_over
            if is_ours and trace.info and self._traces.add(name, experiment_id, trace, trace.info, numbers):
                self._keep_artifacts(f"{TRACES}/{trace.info.trace_id}", trace.artifacts)
        self._points += bool(metas)
        self._damaged_lines += taken.damaged_lines
        for reason, paths in taken.find_unusable():
            self._lose(name, reason, sorted(paths))

    def _lose(self, name: TarballName, reason: str, paths: list[str]) -> None:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        self._lost += [Lost(name.name, f"{reason} ({paths[0]}{more})")] if paths else []

    def _counts(self, name: TarballName, run: RunTaken, meta: RunMeta) -> bool:
        """Whether the run counts: a better one of the same id may be there already; if it does, what another tarball
        brought of it goes.
        """
        if meta.run_uuid in self._known_runs:
            raise NoLayer(f"run {meta.run_uuid} is known")
        rank = Rank(meta.status == "FINISHED", run.points, meta.end_time or -1, name)
        former = self._ranks.get(meta.run_uuid)
        if former is not None and former > rank:
            return False
        self._ranks[meta.run_uuid] = rank
        if former is not None:
            self._traces.remove_of_run(meta.run_uuid, former.tarball.name)
            self._registry.remove_of_run(meta.run_uuid, former.tarball.name)
        return True

    def _add_run(self, name: TarballName, run: RunTaken, meta: RunMeta, numbers: Numbers) -> None:
        self._keep_artifacts(meta.run_uuid, run.artifacts)
        own = {"panda.jeditaskid": str(self._jeditaskid), "panda.tarball": name.name}
        segment = {"panda.segment": name.segment} if name.is_segmented else {}
        self._database.add_run(
            RunRow(
                meta=replace(meta, lifecycle_stage="deleted") if run.is_deleted else meta,
                experiment_id=self._segments.experiment_id(name.segment),
                artifact_uri=f"{SCHEME}:/{self._jeditaskid}/{meta.run_uuid}/artifacts",
                params=run.params,
                tags={**renumber(run.tags, numbers), **own, **segment},
                metrics={key: map(self._hold.read, held) for key, held in run.metrics.items()},
            )
        )

    def _add_model(self, experiment_id: int, model: ModelTaken, meta: ModelMeta, numbers: Numbers) -> None:
        folder = f"{_MODELS}/{meta.model_id}"
        self._keep_artifacts(folder, model.artifacts)
        self._database.add_model(
            ModelRow(
                meta=meta,
                experiment_id=experiment_id,
                artifact_location=f"{SCHEME}:/{self._jeditaskid}/{folder}/artifacts",
                params=model.params,
                tags=renumber(model.tags, numbers),
                metrics=model.metrics,
            )
        )

    def _keep_artifacts(self, folder: str, artifacts: dict[str, Spooled]) -> None:
        self._artifacts.pop(folder, None)
        if artifacts:
            self._artifacts[folder] = tuple(
                replace(spooled, name=f"{folder}/artifacts/{path}") for path, spooled in sorted(artifacts.items())
            )

    def _names(self, sql: str) -> tuple[str, ...]:
        return tuple(str(name) for (name,) in self._database.query(sql))

    def _write_out(self, manifest: Manifest, index: Index) -> Built:
        packed, bundle = self._scratch / "snapshot.db.gz", self._scratch / "bundle.zip"
        artifacts = self._kept_artifacts()
        pack(self._database.finish(), packed)
        self._spool.write_bundle(bundle, artifacts)
        return Built(manifest, index, packed, bundle, has_artifacts=bool(artifacts))

    def _kept_artifacts(self) -> list[Spooled]:
        """Without those of models and traces that went with a run when a better one took its place."""
        models = {f"{_MODELS}/{model}" for model in self._names("SELECT model_id FROM logged_models")}
        kept = models | {f"{TRACES}/{trace}" for trace in self._traces.find_ids()}
        return [
            one
            for owner, artifacts in self._artifacts.items()
            if owner in kept or owner in self._ranks
            for one in artifacts
        ]


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value
