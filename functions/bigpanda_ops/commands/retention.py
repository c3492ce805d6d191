"""`bigpanda-mlflow retention`: what the function `retain` would collect of old snapshots now. Nothing is removed."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bigpanda_ops.output import print_json, print_table, say

if TYPE_CHECKING:
    from bigpanda_ops.connection import Connection


def retention(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Tell what of old snapshots would be collected now, by reason; nothing is removed."""
    from bigpanda_mlflow.context import Context
    from bigpanda_mlflow.retaining import collect_snapshots
    from bigpanda_ops.connection import reaching

    connection: Connection = context.obj
    settings = connection.settings.model_copy(update={"snapshot_store": connection.snapshot_store})
    with reaching():
        report = collect_snapshots(Context(connection.cluster, settings, lambda: datetime.now(UTC)), dry_run=True)
    if as_json:
        print_json({"tasks": report.tasks, "objects": report.objects, "bytes": report.bytes})
        return
    say(f"{report.tasks} tasks have snapshots.")
    rows = [(reason, str(count), str(report.bytes[reason])) for reason, count in sorted(report.objects.items())]
    if rows:
        print_table(("REASON", "OBJECTS", "BYTES"), rows)
    else:
        say("Every object is needed.")
