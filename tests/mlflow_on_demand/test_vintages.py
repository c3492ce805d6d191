"""FileStores of real MLflow releases (by tests/data/make-filestores): all rows as MLflow's own migration has them."""

import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_on_demand.bundle import Bundle
from mlflow_on_demand.ingest import IngestRequest, IngestResult, ingest_task
from mlflow_on_demand.snapshot import download_database, open_snapshot_store
from support.hpo_files import TASK, name

FILESTORES = {path.stem: path for path in (Path(__file__).parents[1] / "data" / "filestores").glob("*.tgz")}
VERSIONS = ("0.9.1", "1.0.0", "1.30.1", "2.0.1", "2.22.1", "3.0.1", "3.17.2")

# What is compared, table by table; a table that is not named here must be the same altogether. Left out everywhere are
# ids and URIs that are ours: experiment ids (a segment is one experiment), artifact addresses, dataset and input ids.
# A run of a deleted experiment is a deleted run: its experiment is now the task's, which is not deleted, and before 2.x
# only its place in `.trash` says so, which the migration does not look at.
COMPARED = {
    "runs": "SELECT run_uuid, runs.name, source_type, source_name, entry_point_name, user_id, status, start_time,"
    " end_time, deleted_time, source_version, iif(e.name = 'deleted experiment', 'deleted', runs.lifecycle_stage)"
    " FROM runs JOIN experiments AS e USING (experiment_id)",
    "tags": "SELECT run_uuid, key, value FROM tags WHERE key NOT LIKE 'panda.%'",
    "experiment_tags": "SELECT key, value FROM experiment_tags",
    "datasets": "SELECT name, digest, dataset_source_type, dataset_source, dataset_schema, dataset_profile"
    " FROM datasets",
    "inputs": "SELECT source_type, coalesce(d.name || d.digest, source_id), destination_type, destination_id, step"
    " FROM inputs LEFT JOIN datasets AS d ON dataset_uuid = source_id",
    "input_tags": "SELECT coalesce(d.name || d.digest, source_id), destination_id, t.name, t.value FROM input_tags AS t"
    " JOIN inputs USING (input_uuid) LEFT JOIN datasets AS d ON dataset_uuid = source_id",
    "logged_models": "SELECT model_id, name, creation_timestamp_ms, last_updated_timestamp_ms, status, lifecycle_stage,"
    " model_type, source_run_id, status_message FROM logged_models",
    "logged_model_params": "SELECT model_id, param_key, param_value FROM logged_model_params",
    "logged_model_tags": "SELECT model_id, tag_key, tag_value FROM logged_model_tags",
    "logged_model_metrics": "SELECT model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, run_id,"
    " dataset_uuid, dataset_name, dataset_digest FROM logged_model_metrics",
    "trace_info": "SELECT request_id, timestamp_ms, execution_time_ms, status, client_request_id, request_preview,"
    " response_preview, db_payload_generation, trace_name, session_id, input_tokens, output_tokens, total_tokens,"
    " cache_read_input_tokens, cache_creation_input_tokens, cache_creation_input_tokens_above_1hr, input_cost,"
    " output_cost, total_cost FROM trace_info",
    "trace_tags": "SELECT request_id, key, iif(key = 'mlflow.artifactLocation', '', value) FROM trace_tags"
    " WHERE key NOT LIKE 'panda.%'",
    "assessments": "SELECT assessment_id, trace_id, name, assessment_type, value, error, created_timestamp,"
    " last_updated_timestamp, source_type, source_id, run_id, span_id, rationale, overrides, valid,"
    " assessment_metadata, trace_timestamp_ms, aggregate_value, is_numeric_value FROM assessments",
    "registered_model_tags": "SELECT name, key, iif(key = '_mlflow_experiment_ids', '', value)"
    " FROM registered_model_tags",
    "model_versions": "SELECT name, version, creation_time, last_updated_time, description, user_id, current_stage,"
    " iif(source LIKE 'file:%' OR source LIKE 'panda-snapshot:%', '', source), run_id, status, status_message,"
    " run_link, workspace FROM model_versions",
    "model_version_tags": "SELECT name, version, key, value FROM model_version_tags WHERE key NOT LIKE 'panda.%'",
}
# One experiment a segment, whatever the job called its own, and MLflow's Default, deleted.
NOT_COMPARED = {"experiments"}

ALWAYS = {"runs", "tags", "params", "metrics", "latest_metrics"}
SINCE = {
    (1, 30): {"experiment_tags"},
    (2, 1): {"registered_models", "registered_model_tags", "model_versions", "model_version_tags"},
    (2, 4): {"datasets", "inputs", "input_tags", "registered_model_aliases"},
    (2, 14): {"trace_info", "trace_tags", "trace_request_metadata"},
    (3, 0): {"logged_models", "logged_model_params", "logged_model_tags", "logged_model_metrics"},
    (3, 5): {"assessments"},
}

MIGRATE = """
import sys
from mlflow.cli import cli
for folder in sys.argv[1:]:
    cli(["migrate-filestore", "--source", folder, "--target", f"sqlite:///{folder}.db"], standalone_mode=False)
"""


def written_by(version: str) -> set[str]:
    """The tables that this release's data reaches."""
    release = tuple(int(part) for part in version.split(".")[:2])
    return ALWAYS.union(*(tables for first, tables in SINCE.items() if release >= first))


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `<version>.db` as `mlflow migrate-filestore` makes it."""
    folder = tmp_path_factory.mktemp("migrated")
    for version, path in FILESTORES.items():
        with tarfile.open(path) as archive:
            archive.extractall(folder / version, filter="data")
    environment = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": ""}
    folders = [str(folder / version) for version in FILESTORES]
    subprocess.run([sys.executable, "-c", MIGRATE, *folders], env=environment, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ingested")


@pytest.fixture(scope="module")
def result(version: str, work: Path) -> IngestResult:
    (work / version).mkdir()
    shutil.copy(FILESTORES[version], work / version / name(1))
    return ingest_task(IngestRequest(TASK, ((work / version).as_uri(),), (work / "store" / version).as_uri()))


@pytest.fixture(scope="module")
def ours(version: str, work: Path, result: IngestResult) -> Iterator[sqlite3.Connection]:
    store = open_snapshot_store((work / "store" / version).as_uri(), TASK, result.manifest.schema_revision)
    download_database(store, result.manifest, work / f"{version}.db")
    with closing(sqlite3.connect(work / f"{version}.db")) as database:
        yield database


@pytest.fixture(scope="module")
def theirs(version: str, migrated: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(migrated / f"{version}.db")) as database:
        yield database


def rows(database: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    return sorted(database.execute(COMPARED.get(table, f'SELECT * FROM "{table}"')).fetchall(), key=repr)


def tables(database: sqlite3.Connection) -> list[str]:
    return [str(one) for (one,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]


def test_every_release_is_looked_at() -> None:
    assert tuple(sorted(FILESTORES, key=VERSIONS.index)) == VERSIONS


def test_all_rows_equal_those_of_mlflows_own_migration(
    version: str, ours: sqlite3.Connection, theirs: sqlite3.Connection
) -> None:
    assert tables(ours) == tables(theirs)
    compared = [table for table in tables(ours) if table not in NOT_COMPARED]
    assert {table: rows(ours, table) for table in compared} == {table: rows(theirs, table) for table in compared}
    assert {table for table in written_by(version) if not rows(ours, table)} == set()


def test_the_schema_is_mlflows_own(ours: sqlite3.Connection, theirs: sqlite3.Connection) -> None:
    """But for the order of some constraints, which differs from one run of MLflow's migrations to the next."""

    def schema(database: sqlite3.Connection) -> list[tuple[object, ...]]:
        found = database.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master ORDER BY 1, 2")
        return [(*names, sorted(str(sql).replace(",", "").split())) for *names, sql in found]

    assert schema(ours) == schema(theirs)


def test_nothing_is_lost(result: IngestResult) -> None:
    assert (result.manifest.lost, result.manifest.damaged_lines) == ((), 0)


def test_every_artifact_is_in_the_bundle_where_its_run_or_model_says(
    version: str, work: Path, migrated: Path, result: IngestResult, ours: sqlite3.Connection
) -> None:
    store = open_snapshot_store((work / "store" / version).as_uri(), TASK, result.manifest.schema_revision)
    found = set(Bundle(store, result.manifest.bundle.name, result.manifest.bundle.size).sizes())
    files = (migrated / version / "mlruns").rglob("artifacts/**/*")
    assert len(found) == sum(path.is_file() for path in files) > 0
    addresses = ours.execute(
        "SELECT artifact_uri FROM runs UNION SELECT artifact_location FROM logged_models"
        " UNION SELECT value FROM trace_tags WHERE key = 'mlflow.artifactLocation'"
    )
    folders = [address.removeprefix(f"panda-snapshot:/{TASK}/") for (address,) in addresses]
    assert {path for path in found if not any(path.startswith(f"{folder}/") for folder in folders)} == set()


def test_versions_of_registered_models_lie_where_the_snapshot_has_them(version: str, ours: sqlite3.Connection) -> None:
    found = ours.execute(
        "SELECT version, source, storage_location, run_id FROM model_versions WHERE name = 'net größe' ORDER BY 1"
    ).fetchall()
    if "model_versions" not in written_by(version):
        assert found == []
        return
    plots = f"panda-snapshot:/{TASK}/{found[0][3]}/artifacts/plots"
    elsewhere = ("s3://bucket/elsewhere", f"panda-snapshot:/{TASK}/elsewhere")
    assert [one[1:3] for one in (found[0], found[1], found[-1])] == [(plots, plots), elsewhere, (plots, plots)]
    for _, source, place, _ in found[2:-1]:
        assert place == f"panda-snapshot:/{TASK}/{source.replace(':', '')}/artifacts"
    assert len(found) == (4 if version.startswith("3.") else 3)


def test_what_old_releases_cannot_say_is_told_in_the_same_way(version: str, ours: sqlite3.Connection) -> None:
    best = "SELECT run_uuid FROM runs JOIN tags USING (run_uuid) WHERE key = 'mlflow.runName' AND tags.value = 'best ☀'"
    [(run,)] = ours.execute(best).fetchall()
    assert ours.execute(
        "SELECT value FROM params WHERE run_uuid = ? AND key = 'model/layers/0/units'", (run,)
    ).fetchall() == [("128",)]
    steps = [step for (step,) in ours.execute("SELECT step FROM metrics WHERE run_uuid = ? AND key = 'loss'", (run,))]
    assert set(steps) == {0} if version == "0.9.1" else len(set(steps)) == len(steps)
    parents = ours.execute("SELECT value FROM tags WHERE key = 'mlflow.parentRunId'").fetchall()
    assert parents == [(run,)]
