"""Opens a snapshot for an MLflow that goes on as it is: one store, one engine, one pool of connections.

Only which file a connection opens depends on the request that needs it, so a newer snapshot takes the place of another
while requests are under way, and MLflow knows nothing of it.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from mlflow_on_demand.bundle import open_bundle
from mlflow_on_demand.mlflow_app import check_mlflow, immutable_uri
from mlflow_on_demand.served import Served, present, seeing
from mlflow_on_demand.snapshot import Manifest, download_database
from mlflow_on_demand.store import Store

_numbers = itertools.count(1)


def open_snapshot(
    store: Store,
    manifest: Manifest,
    scratch: Path,
    flask_app: Future[Any],
    on_downloaded: Callable[[], None] = lambda: None,
) -> Served:
    """Download a snapshot's database into `scratch`, and have MLflow, once it is there, read from it.

    OnDemandError when either does not work; then nothing of it is left, and what was served before still is.
    """
    database = scratch / f"snapshot-{next(_numbers)}.db"
    download_database(store, manifest, database)
    on_downloaded()
    served = Served(database, open_bundle(store, manifest))
    app = flask_app.result()
    with seeing(served):
        check_mlflow(app, manifest)
    return served


def follow_requests() -> None:
    """From now on, SQLAlchemy's connections are to the database of the request that uses them.

    One that comes out of the pool and was opened for another snapshot is opened anew on its way (what `checkout` and
    DisconnectionError are for, says SQLAlchemy). Where no request chose a snapshot, nothing is changed.
    """
    from sqlalchemy import Engine, event
    from sqlalchemy.exc import DisconnectionError
    from sqlalchemy.pool import Pool

    def open_its_database(_: object, record: Any, arguments: list[Any], __: object) -> None:
        served = present()
        if served is not None:
            arguments[0] = immutable_uri(served.database)
            record.info["database"] = served.database

    def refuse_others(_: object, record: Any, __: object) -> None:
        served = present()
        if served is not None and record.info.get("database") != served.database:
            raise DisconnectionError("opened for another snapshot")

    event.listen(Engine, "do_connect", open_its_database)
    event.listen(Pool, "checkout", refuse_others)
