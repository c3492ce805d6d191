"""Records the answers to the landing view's requests, after a snapshot was published: MLflow itself is asked.

MLflow runs in a process of its own: whoever ingests is spared its memory. The result is a pure function of snapshot
and MLflow version, so two may record at once, and a crash before the end leaves a snapshot that works, only later; the
next ingest records then. `python -m mlflow_on_demand.record_answers <database> <manifest> <target>` is that process.
"""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from mlflow_on_demand.answers import MAX_BYTES, Answer, answers_key, find_answers, pack_answers
from mlflow_on_demand.errors import AnswersError, OnDemandError
from mlflow_on_demand.landing import SEARCH_RUNS, Asked, plan_charts, plan_landing
from mlflow_on_demand.mlflow_app import load_mlflow, make_environment
from mlflow_on_demand.mlflow_facts import mlflow_version
from mlflow_on_demand.records import to_json
from mlflow_on_demand.settings import ServerSettings
from mlflow_on_demand.snapshot import Manifest, download_database, parse_manifest
from mlflow_on_demand.store import Store

_log = logging.getLogger(__name__)

# A wake reads all of it: what a task of many segments or metrics would have beyond, MLflow answers when it is asked.
MAX_ANSWERS = 400
_MAX_BODIES = MAX_BYTES // 2
_SECONDS = 120


def record_answers(store: Store, manifest: Manifest, work_dir: Path | None = None) -> bool:
    """See to it that the snapshot has this MLflow version's answers; True if they were recorded now.

    `store` is that of the manifest; scratch files go below `work_dir` (default: TMPDIR). Never fails: what went wrong
    is logged, and a page without recorded answers works.
    """
    version = mlflow_version()
    if manifest.runs == 0 or find_answers(store, manifest, version) is not None:
        return False
    facts = {"jeditaskid": manifest.jeditaskid, "digest": manifest.digest, "mlflow": version}
    try:
        with tempfile.TemporaryDirectory(prefix="answers-", dir=work_dir) as scratch:
            recording = _record(store, manifest, Path(scratch))
        store.write(answers_key(manifest.digest, version), BytesIO(recording))
    except (OnDemandError, OSError, subprocess.SubprocessError) as error:
        _log.warning("answers could not be recorded", extra={**facts, "reason": str(error)})
        return False
    _log.info("answers recorded", extra={**facts, "bytes": len(recording)})
    return True


def collect_answers(manifest: Manifest, ask: Callable[[Asked], Answer]) -> dict[str, Answer]:
    """Ask for each experiment what the landing view will ask, in order, until there is enough for a wake to read."""
    answers: dict[str, Answer] = {}
    size = 0
    for experiment in manifest.experiments:
        todo = [*plan_landing(experiment, manifest.objective)]
        while todo:
            asked = todo.pop(0)
            if asked.key in answers:  # not every request names its experiment
                continue
            answer = ask(asked)
            if answer.status != 200:
                raise AnswersError(f"MLflow answers {answer.status} to {asked.method} {asked.path}")
            size += len(answer.packed)
            if size > _MAX_BODIES or len(answers) == MAX_ANSWERS:
                return answers
            answers[asked.key] = answer
            if asked.path == SEARCH_RUNS:
                todo += plan_charts(json.loads(answer.body()))
    return answers


def _record(store: Store, manifest: Manifest, scratch: Path) -> bytes:
    database, described, target = scratch / "snapshot.db", scratch / "manifest.json", scratch / "answers"
    download_database(store, manifest, database)
    described.write_bytes(to_json(manifest))
    command = [sys.executable, "-m", "mlflow_on_demand.record_answers", str(database), str(described), str(target)]
    # MLflow makes a folder of the database's name where it stands (see server.py).
    ended = subprocess.run(
        command, cwd=scratch, capture_output=True, text=True, errors="replace", check=False, timeout=_SECONDS
    )
    if ended.returncode != 0:
        raise AnswersError(f"MLflow could not be asked: {ended.stderr.strip()[-500:]}")
    return target.read_bytes()


def _main(database: str, described: str, target: str) -> None:
    manifest = parse_manifest(Path(described).read_bytes())
    settings = ServerSettings(manifest.jeditaskid, "file:///nowhere", "http://localhost")
    app = load_mlflow(make_environment(settings, Path(database)))
    with app.test_client() as client:
        answers = collect_answers(manifest, lambda asked: _ask(client, asked))
    Path(target).write_bytes(pack_answers(manifest.digest, mlflow_version(), answers))


def _ask(client: Any, asked: Asked) -> Answer:
    reply = client.open(
        asked.path,
        method=asked.method,
        query_string=asked.query,
        data=asked.body or None,
        content_type="application/json" if asked.body else None,
        base_url="http://localhost",
    )
    return Answer.of(reply.status_code, reply.headers["Content-Type"], reply.get_data())


if __name__ == "__main__":
    _main(*sys.argv[1:])
