"""What one tarball held, as far as it could be read: in memory but for metric points and artifacts."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlflow_on_demand.bundle import Spooled
from mlflow_on_demand.filestore import RunMeta
from mlflow_on_demand.lineage import Dataset, Link, ModelMeta, ModelMetric
from mlflow_on_demand.points import HeldPoints
from mlflow_on_demand.registry import ModelVersion, RegisteredModel, read_version
from mlflow_on_demand.traces import Assessment, TraceInfo


@dataclass
class RunTaken:
    """What one run's directory held; the points of its metrics are in the hold, its artifacts in the spool."""

    meta: RunMeta | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[HeldPoints]] = field(default_factory=dict)
    artifacts: dict[str, Spooled] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    points: int = 0
    is_deleted: bool = False


@dataclass
class ModelTaken:
    """What one logged model's directory held; its artifacts are in the spool."""

    meta: ModelMeta | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[ModelMetric]] = field(default_factory=dict)
    artifacts: dict[str, Spooled] = field(default_factory=dict)


@dataclass
class TraceTaken:
    """What one trace's directory held; its artifacts are in the spool."""

    info: TraceInfo | None = None
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    assessments: list[Assessment] = field(default_factory=list)
    artifacts: dict[str, Spooled] = field(default_factory=dict)


@dataclass
class VersionTaken:
    """What one version's directory held."""

    meta: ModelVersion | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class RegisteredTaken:
    """What one registered model's directory held: versions by directory, aliases with what their files say."""

    meta: RegisteredModel | None = None
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    versions: defaultdict[str, VersionTaken] = field(default_factory=lambda: defaultdict(VersionTaken))

    def readable_versions(self) -> Iterator[tuple[ModelVersion, dict[str, str]]]:
        """Those whose meta.yaml could be read, with their tags."""
        for _, version in sorted(self.versions.items()):
            if version.meta is not None:
                yield version.meta, version.tags


@dataclass
class TarballTaken:
    """What one tarball held: runs, models and traces by experiment and directory, registered models by directory, and
    the paths of files that are no such thing as their place says.
    """

    runs: defaultdict[tuple[str, str], RunTaken] = field(default_factory=lambda: defaultdict(RunTaken))
    models: defaultdict[tuple[str, str], ModelTaken] = field(default_factory=lambda: defaultdict(ModelTaken))
    datasets: dict[tuple[str, str], Dataset] = field(default_factory=dict)
    traces: defaultdict[tuple[str, str], TraceTaken] = field(default_factory=lambda: defaultdict(TraceTaken))
    registered: defaultdict[str, RegisteredTaken] = field(default_factory=lambda: defaultdict(RegisteredTaken))
    unreadable: list[str] = field(default_factory=list)
    experiment_tags: dict[str, str] = field(default_factory=dict)
    created: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    damaged_lines: int = 0

    def find_unusable(self) -> Iterator[tuple[str, list[str]]]:
        """What of it cannot be used: reasons, each with the names of those that it concerns."""
        yield "holds a run without a readable meta.yaml", [one for (_, one), run in self.runs.items() if not run.meta]
        models = [one for (_, one), model in self.models.items() if not model.meta]
        yield "holds a logged model without a readable meta.yaml", models
        traces = [one for (_, one), trace in self.traces.items() if not trace.info]
        yield "holds a trace without a readable trace_info.yaml", traces
        registered = [one for one, model in self.registered.items() if not model.meta]
        yield "holds a registered model without a readable meta.yaml", registered
        yield (
            "holds a model version without a readable meta.yaml",
            [
                f"{one}/{version}"
                for one, model in self.registered.items()
                for version, taken in model.versions.items()
                if not taken.meta
            ],
        )
        yield (
            "holds an alias of a version that is not there",
            [
                f"{one}/{alias}"
                for one, model in self.registered.items()
                for alias, text in model.aliases.items()
                if model.meta
                and read_version(text) not in {version.version for version, _ in model.readable_versions()}
            ],
        )
        yield "holds a file that cannot be read", self.unreadable
