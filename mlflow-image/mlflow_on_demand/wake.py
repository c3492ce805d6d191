"""The work of a wake, on two threads: one fetches the snapshot while the other imports MLflow.

Two threads of one Python get in each other's way, so the import lets the other one read the manifest and the recorded
answers first: a page is painted from these, and MLflow is there no later for it.
Nothing here blocks the event loop. A snapshot that is not there yet is looked for every couple of seconds; a store
that does not answer, or is too slow, is asked again, and the page says so by then; a broken snapshot is told, and
looked at again in case a new one replaces it.
Awake, the same thread looks for newer ones.
"""

import gc
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

from mlflow_on_demand.answers import find_answers
from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.mlflow_app import load_mlflow, make_environment
from mlflow_on_demand.mlflow_facts import mlflow_version, schema_revision
from mlflow_on_demand.opening import follow_requests, open_snapshot
from mlflow_on_demand.reading import find_reading
from mlflow_on_demand.refresh import Refresh
from mlflow_on_demand.settings import ServerSettings
from mlflow_on_demand.snapshot import Manifest, find_manifest, open_snapshot_store
from mlflow_on_demand.stage import Progress, Stage, Status
from mlflow_on_demand.store import Store
from mlflow_on_demand.transfer import within

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
    flask_app: Future[Any] = field(default_factory=Future)
    stopping: Event = field(default_factory=Event)
    looked: Event = field(default_factory=Event)

    def start(self) -> None:
        """Begin; returns at once."""
        for work in (self._import_mlflow, self._open_snapshot):
            Thread(target=work, daemon=True, name=work.__name__.strip("_")).start()

    def stop(self) -> None:
        """Look for nothing any more."""
        self.stopping.set()

    def _import_mlflow(self) -> None:
        self.looked.wait(_HEAD_START)
        try:
            # Every request brings its own database: there is none at the place that MLflow is told.
            app = load_mlflow(make_environment(self.settings, self.scratch / "none.db"))
            follow_requests()
            self.flask_app.set_result(app)
        except Exception as error:
            _log.exception("MLflow cannot be imported")
            self.flask_app.set_exception(error)

    def _open_snapshot(self) -> None:
        while not self.stopping.is_set() and self.progress.status.stage is not Stage.READY:
            try:
                with self._in_time() as downloaded:
                    self._open_once(downloaded)
            except OnDemandError as error:
                if error.transient:  # what is known of the snapshot stays true while its store does not answer
                    self.progress.explain(_sentence(error))
                else:
                    self.progress.set(Status(Stage.FAILED, _sentence(error)))
            except Exception:
                _log.exception("the wake failed")
                self.progress.set(
                    Status(Stage.FAILED, "Something went wrong while MLflow was started; its log says what.")
                )
            self.looked.set()
            gc.enable()
            self.stopping.wait(LOOK_AGAIN)
        if not self.stopping.is_set():
            Refresh(self._store(), self.scratch, self.progress, self.flask_app).run(self.stopping)

    def _store(self) -> Store:
        return open_snapshot_store(self.settings.snapshot_store, self.settings.jeditaskid, schema_revision())

    @contextmanager
    def _in_time(self) -> Iterator[Callable[[], None]]:
        """A store that drips is given up when its time is over; one that is silent keeps its connection for a while
        longer, so another thread says what is the matter. To be called when nothing more is wanted of the store.
        """
        seconds = self.settings.store_seconds
        tell = Timer(seconds, self.progress.explain, [f"The snapshot store is slow: not done in {seconds} s. Waiting."])
        tell.daemon = True
        tell.start()
        try:
            with within(seconds):
                yield tell.cancel
        finally:
            tell.cancel()

    def _open_once(self, on_downloaded: Callable[[], None]) -> None:
        store = self._store()
        found = find_manifest(store)
        if found is None:
            reading = find_reading(store)
            reason = f"{reading.read} of {reading.tarballs} tarballs are read." if reading else ""
            self.progress.set(Status(Stage.WAITING, reason))
            return
        manifest = found.manifest
        if manifest.runs == 0:
            self.progress.set(Status(Stage.WAITING, _no_runs(manifest)))
            return
        known = self.progress.status
        answers = known.answers if known.manifest == manifest else None
        status = Status(Stage.LOADING, manifest=manifest, answers=answers, finished_at=found.finished_at)
        self.progress.set(status)
        # Before the database, not beside it: they are small, asked for first, and the database waits for MLflow anyway.
        if answers is None:
            status = replace(status, answers=find_answers(store, manifest, mlflow_version()) or {})
            self.progress.set(status)
        self.looked.set()
        served = open_snapshot(store, manifest, self.scratch, self.flask_app, on_downloaded)
        gc.freeze()  # what was made so far stays: nobody need look for garbage in it, least of all now
        self.progress.set(replace(status, stage=Stage.READY, served=served))


def _no_runs(manifest: Manifest) -> str:
    if not manifest.lost:
        return "No evaluated point of this task has arrived yet."
    return f"No evaluated point could be read yet; {len(manifest.lost)} files could not be used."


def _sentence(error: OnDemandError) -> str:
    text = f"{str(error)[:1].upper()}{str(error)[1:]}."
    return f"{text} Trying again." if error.transient else text
