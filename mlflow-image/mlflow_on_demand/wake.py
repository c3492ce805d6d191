"""The work of a wake, on two threads: one fetches the snapshot while the other imports MLflow.

Two threads of one Python get in each other's way, so the import lets the other one read the manifest and the recorded
answers first: a page is painted from these, and MLflow is there no later for it.
Nothing here blocks the event loop. A snapshot that is not there yet is looked for every couple of seconds; a store
that does not answer is asked again; a broken snapshot is told, and looked at again in case a new one replaces it.
"""

import logging
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

from mlflow_on_demand.answers import Answers, find_answers
from mlflow_on_demand.bundle import open_bundle
from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.mlflow_app import check_mlflow, load_mlflow, make_environment
from mlflow_on_demand.mlflow_facts import mlflow_version, schema_revision
from mlflow_on_demand.settings import ServerSettings
from mlflow_on_demand.snapshot import Manifest, download_database, find_manifest, open_snapshot_store
from mlflow_on_demand.stage import Progress, Stage, Status
from mlflow_on_demand.store import Store

_log = logging.getLogger(__name__)

LOOK_AGAIN = 2.0
# A store that hangs must not keep MLflow from being imported.
_HEAD_START = 2.0


@dataclass(frozen=True)
class Wake:
    """One wake under way; `flask_app` is set when the stage is READY."""

    settings: ServerSettings
    scratch: Path
    progress: Progress
    flask_app: Future[Any]
    stopping: Event
    looked: Event = field(default_factory=Event)

    def start(self) -> None:
        """Begin; returns at once."""
        for work in (self._import_mlflow, self._open_snapshot):
            Thread(target=work, daemon=True, name=work.__name__.strip("_")).start()

    def stop(self) -> None:
        """Look for nothing any more."""
        self.stopping.set()

    @property
    def _database(self) -> Path:
        return self.scratch / "snapshot.db"

    def _import_mlflow(self) -> None:
        self.looked.wait(_HEAD_START)
        try:
            self.flask_app.set_result(load_mlflow(make_environment(self.settings, self._database)))
        except Exception as error:
            _log.exception("MLflow cannot be imported")
            self.flask_app.set_exception(error)

    def _open_snapshot(self) -> None:
        while not self.stopping.is_set() and self.progress.status.stage is not Stage.READY:
            try:
                self._open_once()
            except OnDemandError as error:
                failed = Status(Stage.FAILED, _sentence(error))
                # What is known of the snapshot stays true while its store does not answer.
                known = replace(self.progress.status, reason=failed.reason)
                self.progress.set(known if error.transient else failed)
            except Exception:
                _log.exception("the wake failed")
                self.progress.set(
                    Status(Stage.FAILED, "Something went wrong while MLflow was started; its log says what.")
                )
            self.looked.set()
            self.stopping.wait(LOOK_AGAIN)

    def _open_once(self) -> None:
        settings = self.settings
        store = open_snapshot_store(settings.snapshot_store, settings.jeditaskid, schema_revision())
        found = find_manifest(store)
        if found is None:
            self.progress.set(Status(Stage.WAITING))
            return
        manifest, _ = found
        if manifest.runs == 0:
            self.progress.set(Status(Stage.WAITING, _no_runs(manifest)))
            return
        known = self.progress.status
        answers = known.answers if known.manifest == manifest else None
        self.progress.set(Status(Stage.LOADING, manifest=manifest, answers=answers))
        # Before the database, not beside it: they are small, asked for first, and the database waits for MLflow anyway.
        if answers is None:
            answers = find_answers(store, manifest, mlflow_version()) or {}
            self.progress.set(Status(Stage.LOADING, manifest=manifest, answers=answers))
        self.looked.set()
        download_database(store, manifest, self._database)
        self._serve(store, manifest, answers)

    def _serve(self, store: Store, manifest: Manifest, answers: Answers) -> None:
        app = self.flask_app.result()
        from mlflow_on_demand.artifacts import serve_bundle

        serve_bundle(open_bundle(store, manifest))
        check_mlflow(app, manifest)
        self.progress.set(Status(Stage.READY, manifest=manifest, answers=answers))


def _no_runs(manifest: Manifest) -> str:
    if not manifest.lost:
        return "No evaluated point of this task has arrived yet."
    return f"No evaluated point could be read yet; {len(manifest.lost)} files could not be used."


def _sentence(error: OnDemandError) -> str:
    text = f"{str(error)[:1].upper()}{str(error)[1:]}."
    return f"{text} Trying again." if error.transient else text
