"""`bigpanda-mlflow tasks`: which pages exist, whose, until when, with how many runs, and what serves them."""

from typing import TYPE_CHECKING, Annotated

import typer

from bigpanda_ops.output import complain, print_json, print_table, say

if TYPE_CHECKING:
    from bigpanda_ops.connection import Connection
    from bigpanda_ops.listing import Row


def tasks(
    context: typer.Context,
    owner: Annotated[str | None, typer.Option(help="Only those of this owner.")] = None,
    state: Annotated[str | None, typer.Option(help="Only those that are ready, pending or failed.")] = None,
    snapshots: Annotated[bool, typer.Option(help="Read each task's snapshot for its runs and points.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """List the tasks that have a page."""
    from bigpanda_ops.listing import add_snapshots, check_state, read_rows

    connection: Connection = context.obj
    check_state(state)
    rows = [row for row in read_rows(connection) if owner in (None, row.owner) and state in (None, row.state.value)]
    if snapshots and rows:
        rows, trouble = add_snapshots(connection, rows)
        if trouble:
            complain(f"runs and points are not known for {trouble[0]} tasks: {trouble[1]}")
    if as_json:
        print_json([row.as_json() for row in rows])
    elif rows:
        print_table(_HEADINGS, [_cells(row) for row in rows])
    else:
        say("No task has a page." if owner is None and state is None else "No task is like that.")


_HEADINGS = ("TASK", "OWNER", "STATE", "RUNS", "POINTS", "EXPIRES", "REVISION", "IMAGE", "URL")


def _cells(row: "Row") -> tuple[str, ...]:
    state = row.state.value if not row.reason else f"{row.state.value}: {row.reason}"
    known = row.runs is not None
    runs, points = (str(row.runs), str(row.points)) if known else ("?", "?")
    expires = row.expires_at.strftime("%Y-%m-%d %H:%M") if row.expires_at else "?"
    return str(row.jeditaskid), row.owner, state, runs, points, expires, row.revision, row.short_image, row.url
