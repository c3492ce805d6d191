"""The model registries of a task's tarballs become one (real ones: test_vintages)."""

import json

import pytest

from support.hpo_files import NOON, TASK, name, run_id
from support.opened import OURS, Open, Opened, job
from support.traced_files import registered, trace, version_of


def test_a_registry_of_one_tarball_stays_as_it_is(ingested: Open) -> None:
    versions = {1: version_of(1), 3: version_of(1, "a b"), 4: "source: s3://bucket/x\n"}
    opened = ingested({name(1): job(1, registered("net", versions, aliases__best="3", tags__team="hpo"))})
    assert opened.rows("SELECT version, source, storage_location FROM model_versions ORDER BY 1") == [
        (1, f"{OURS}/{run_id(1)}/artifacts/net", f"{OURS}/{run_id(1)}/artifacts/net"),
        (3, f"{OURS}/{run_id(1)}/artifacts/a%20b", f"{OURS}/{run_id(1)}/artifacts/a%20b"),
        (4, "s3://bucket/x", f"{OURS}/elsewhere"),
    ]
    assert opened.rows("SELECT alias, version FROM registered_model_aliases") == [("best", 3)]
    assert opened.rows("SELECT version, key, value FROM model_version_tags ORDER BY 1, 2") == [
        (1, "panda.tarball", name(1)),
        (1, "panda.version", "1"),
        (3, "panda.aliases", "best"),
        (3, "panda.tarball", name(1)),
        (3, "panda.version", "3"),
        (4, "panda.tarball", name(1)),
        (4, "panda.version", "4"),
    ]


def brought(opened: Opened) -> list[tuple[object, ...]]:
    """Number of each version, the tarball that it came from and its number there."""
    return opened.rows(
        "SELECT version, t.value, n.value FROM model_version_tags AS t JOIN model_version_tags AS n"
        " USING (name, version) WHERE t.key = 'panda.tarball' AND n.key = 'panda.version' ORDER BY 1"
    )


def test_the_versions_of_all_jobs_are_numbered_as_one(ingested: Open) -> None:
    linked = '[{"name": "net", "version": "1"}]'
    tarballs = {
        name(n): job(
            n,
            registered(
                "net",
                {1: version_of(n), **({5: version_of(n)} if n == 2 else {})},
                aliases__best="1",
                tags__of=f"job {n}",
                tags___mlflow_experiment_ids=",1,",
            ),
            trace(f"tr-{n}", n) | {f"mlruns/1/traces/tr-{n}/tags/mlflow.linkedPrompts": linked.encode()},
            {
                f"mlruns/1/{run_id(n)}/tags/mlflow.linkedPrompts": linked.encode(),
                f"mlruns/1/models/m-{n}/meta.yaml": f"model_id: m-{n}\n".encode(),
                f"mlruns/1/models/m-{n}/tags/mlflow.modelVersions": linked.encode(),
            },
        )
        for n in (1, 2, 3)
    }
    opened = ingested(tarballs)
    assert brought(opened) == [(1, name(1), "1"), (2, name(2), "1"), (5, name(2), "5"), (6, name(3), "1")]
    assert opened.rows("SELECT version, run_id FROM model_versions ORDER BY 1") == [
        (1, run_id(1)),
        (2, run_id(2)),
        (5, run_id(2)),
        (6, run_id(3)),
    ]
    assert opened.rows("SELECT alias, version FROM registered_model_aliases") == [("best", 6)]
    assert opened.rows("SELECT version FROM model_version_tags WHERE key = 'panda.aliases' ORDER BY 1") == [
        (1,),
        (2,),
        (6,),
    ]
    assert opened.rows("SELECT key, value FROM registered_model_tags ORDER BY 1") == [
        ("_mlflow_experiment_ids", f",{TASK},"),
        ("of", "job 3"),
    ]
    named = [(n, json.dumps([{"name": "net", "version": str(number)}])) for n, number in ((1, 1), (2, 2), (3, 6))]
    runs = "SELECT run_uuid, value FROM tags WHERE key = 'mlflow.linkedPrompts' ORDER BY 1"
    assert opened.rows(runs) == [(run_id(n), value) for n, value in named]
    traces = "SELECT request_id, value FROM trace_tags WHERE key = 'mlflow.linkedPrompts' ORDER BY 1"
    assert opened.rows(traces) == [(f"tr-{n}", value) for n, value in named]
    models = "SELECT model_id, tag_value FROM logged_model_tags ORDER BY 1"
    assert opened.rows(models) == [(f"m-{n}", value) for n, value in named]


def test_what_several_tarballs_say_of_a_model(ingested: Open) -> None:
    said = [
        ("creation_timestamp: 7\nlast_updated_timestamp: 8\ndescription: a\n", "calo"),
        ("last_updated_timestamp: 9\ndescription: b\n", "muon"),
        ("creation_timestamp: 5\n", "muon"),
    ]
    tarballs = {
        name(n, segment): job(
            n, {"mlruns/models/net/meta.yaml": meta.encode(), "mlruns/models/net/tags/_mlflow_experiment_ids": b",1,"}
        )
        for n, (meta, segment) in enumerate(said, start=1)
    }
    opened = ingested(tarballs)
    assert opened.rows("SELECT * FROM registered_models") == [("net", 5, 9, "b", "default")]
    ids = sorted(experiment.id for experiment in opened.manifest.experiments)
    assert opened.rows("SELECT value FROM registered_model_tags") == [(f",{','.join(ids)},",)]


def test_a_registry_that_all_jobs_began_with_is_there_once(ingested: Open) -> None:
    base = {1: version_of(99, created=NOON - 5), 2: version_of(98, created=NOON - 4)}
    tarballs = {name(n): job(n, registered("net", {**base, 3: version_of(n)})) for n in (1, 2)}
    changed = registered("net", base, **{"version-1__tags__mine": "yes"})
    assert brought(ingested({**tarballs, name(3): job(3, changed)})) == [
        (1, name(2), "1"),
        (2, name(3), "2"),
        (3, name(1), "3"),
        (4, name(2), "3"),
        (5, name(3), "1"),
    ]


@pytest.mark.parametrize("better", [1, 3])
def test_of_a_retried_job_the_versions_are_those_of_the_better_run(ingested: Open, better: int) -> None:
    again = {
        n: job(1, registered("net", {1: version_of(1, created=n)}, aliases__best="1"), status=3 if n == better else 1)
        for n in (1, 3)
    }
    opened = ingested({name(1): again[1], name(2): job(2, registered("net", {1: version_of(2)})), name(3): again[3]})
    assert brought(opened) == [(1, name(better), "1"), (2, name(2), "1")]
    assert opened.rows("SELECT alias, version FROM registered_model_aliases") == [("best", 1)]
    assert opened.manifest.lost == ()
