"""Which snapshots are in use, and their collection: the handler of `retain`, and what an operator may call.

A task is in use while it has a Service; the collector notes that in the store, so that a snapshot's lifetime begins
when its page has gone. What may go is decided in `mlflow_on_demand.retention`.
"""

import logging

from bigpanda_mlflow.context import Context
from bigpanda_mlflow.errors import FunctionError, Permanent, Transient
from bigpanda_mlflow.events import Event
from bigpanda_mlflow.names import service_name
from bigpanda_mlflow.sweeping import look_at_each
from mlflow_on_demand.collecting import Collector, Report
from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.retention import Rules
from mlflow_on_demand.stores import open_store

log = logging.getLogger(__name__)

_SECONDS = 240.0
"""Below the timeout of its Service."""


def retain(_: Event[None], context: Context) -> None:
    """Collects in the snapshot store what is past its lifetime or named by nothing any more, and logs the report."""
    report = collect_snapshots(context, dry_run=False)
    log.info("collected", extra={"tasks": report.tasks, "objects": dict(report.objects), "bytes": dict(report.bytes)})


def collect_snapshots(context: Context, *, dry_run: bool, seconds: float = _SECONDS) -> Report:
    """What was collected; in a dry run, what would be, and nothing is changed.

    A task whose turn did not come in time, or whose objects cannot be read, waits for the next run. Raises Transient or
    Permanent when the store cannot be listed, Transient when the cluster does not say which tasks have a Service.
    """
    standing = {service.jeditaskid for service in context.cluster.task_services()}
    collector = _open(context, dry_run=dry_run)
    reports: list[Report] = []
    faults: list[FunctionError] = []

    def stands_now(task: int) -> bool:
        return context.cluster.get_service(service_name(task)) is not None

    def look(task: int) -> None:
        try:
            reports.append(collector.collect(task, task in standing, lambda: stands_now(task)))
        except OnDemandError as error:
            log.warning("left for the next run", extra={"jeditaskid": task, "reason": str(error)})
        except FunctionError as error:
            faults.append(error)
        except Exception:
            log.exception("left for the next run", extra={"jeditaskid": task})

    late = look_at_each(collector.tasks, look, seconds)
    if late:
        log.warning("the time is up, left for the next run", extra={"late": late})
    if faults:
        raise faults[0]
    return sum(reports[:], Report())


def _open(context: Context, *, dry_run: bool) -> Collector:
    settings = context.settings
    rules = Rules(settings.snapshot_lifetime)
    try:
        return Collector(open_store(settings.snapshot_store), rules, context.now(), dry_run=dry_run)
    except OnDemandError as error:
        failure = Transient if error.transient else Permanent
        raise failure(f"the snapshot store cannot be listed: {error}") from error
