"""While a pod is awake: looks whether a newer snapshot was published, and shows it from then on.

The new database lies beside the old one and MLflow has answered from it before anybody else is let in, so a broken one
is never seen: the old one stays, and the reason is logged.
"""

import logging
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from mlflow_on_demand.answers import find_answers
from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.mlflow_facts import mlflow_version
from mlflow_on_demand.opening import open_snapshot
from mlflow_on_demand.snapshot import MANIFEST, find_manifest
from mlflow_on_demand.stage import Progress, Stage, Status
from mlflow_on_demand.store import Store

_log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between two looks, each of which asks the store for one etag."""


class Refresh:
    """The looks of one process whose stage is READY."""

    def __init__(self, store: Store, scratch: Path, progress: Progress, flask_app: Future[Any]) -> None:
        self._store = store
        self._scratch = scratch
        self._progress = progress
        self._flask_app = flask_app
        self._seen = ""  # the etag that needs no second look
        self._told = ""

    def run(self, stopping: Event) -> None:
        """Look until there is an end of it."""
        while not stopping.wait(LOOK_EVERY):
            try:
                self.look()
            except Exception:
                _log.exception("looking for a newer snapshot failed")

    def look(self) -> None:
        """Show what is published now, if it is another snapshot than the one shown, and good."""
        try:
            etag = self._store.stat(MANIFEST).etag
        except OnDemandError as error:
            self._tell(str(error))
            return
        if etag == self._seen:
            return
        try:
            self._show()
        except OnDemandError as error:
            self._tell(str(error))
            if error.transient:
                return
        # What is broken is not fetched again and again: whoever mends it writes another manifest.
        self._seen = etag

    def _show(self) -> None:
        found = find_manifest(self._store)
        if found is None:
            return
        manifest, shown = found.manifest, self._progress.status
        if manifest == shown.manifest:
            self._progress.set(replace(shown, finished_at=found.finished_at))
            return
        if manifest.runs == 0:
            self._tell("it holds no run")
            return
        answers = find_answers(self._store, manifest, mlflow_version()) or {}
        served = open_snapshot(self._store, manifest, self._scratch, self._flask_app)
        status = Status(Stage.READY, manifest=manifest, answers=answers, served=served, finished_at=found.finished_at)
        self._progress.set(status)
        self._told = ""

    def _tell(self, reason: str) -> None:
        if reason != self._told:
            _log.warning("what is published now is not shown", extra={"reason": reason})
        self._told = reason
