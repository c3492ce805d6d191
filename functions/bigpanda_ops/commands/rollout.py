"""`bigpanda-mlflow rollout`: a new image through the fleet, watched, paused, hurried, taken back."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from bigpanda_ops.outcomes import ExitCode, Wrong
from bigpanda_ops.output import print_json, print_json_line, say, stdout

if TYPE_CHECKING:
    from bigpanda_ops.connection import Connection
    from bigpanda_ops.rollout_view import View

app = typer.Typer(help="Roll out an MLflow image over all pages.", no_args_is_help=True, rich_markup_mode=None)

NameOption = Annotated[str | None, typer.Option("--rollout", help="Its name; else the newest.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document; with --watch one a line.")]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Go on until it moves no more.")]


@app.command()
def start(
    context: typer.Context,
    image: Annotated[str, typer.Argument(help="The image by digest: registry/name@sha256:…")],
    mlflow: Annotated[str, typer.Argument(help="Version of the MLflow in it.")],
    watch: WatchOption = False,
    as_json: JsonOption = False,
) -> None:
    """Roll out an image: event image.published."""
    from bigpanda_mlflow.events import EventType
    from bigpanda_ops.door import check_data, send_event
    from bigpanda_ops.rollouts import await_begin

    data = check_data(EventType.IMAGE_PUBLISHED, {"image": image, "version": mlflow})
    sent = send_event(context.obj, EventType.IMAGE_PUBLISHED, data)
    if watch:
        _watch(context.obj, await_begin(context.obj, image, sent.key), as_json)
    elif as_json:
        print_json(sent.as_json())
    else:
        say(f"Accepted: event {sent.key.id}. See it go: bigpanda-mlflow rollout status --watch")


@app.command()
def status(
    context: typer.Context, name: NameOption = None, watch: WatchOption = False, as_json: JsonOption = False
) -> None:
    """Show how far a rollout is, what failed, and why. Exit code 1: it halted, was taken back, or pages failed."""
    from bigpanda_ops.rollouts import look

    view = look(context.obj, name)
    if view is None:
        if name is not None:
            raise Wrong(f"there is no rollout {name}; the last ten are remembered")
        if as_json:
            print_json(None)
        else:
            say("No image was ever rolled out here.")
        return
    if watch:
        _watch(context.obj, view.rollout.name, as_json)
    if as_json:
        print_json(view.as_json())
    else:
        _show(view)
    raise typer.Exit(ExitCode.OK if view.is_well else ExitCode.WRONG)


@app.command()
def pause(
    context: typer.Context, name: NameOption = None, watch: WatchOption = False, as_json: JsonOption = False
) -> None:
    """Take no more steps, until resumed."""
    _command(context.obj, "pause", name, watch, as_json)


@app.command()
def resume(
    context: typer.Context, name: NameOption = None, watch: WatchOption = False, as_json: JsonOption = False
) -> None:
    """Go on, also after a halt."""
    _command(context.obj, "resume", name, watch, as_json)


@app.command()
def promote(
    context: typer.Context, name: NameOption = None, watch: WatchOption = False, as_json: JsonOption = False
) -> None:
    """Wait no longer: the present soak times are over."""
    _command(context.obj, "promote", name, watch, as_json)


@app.command()
def rollback(
    context: typer.Context, name: NameOption = None, watch: WatchOption = False, as_json: JsonOption = False
) -> None:
    """Send every page back to its previous Revision."""
    _command(context.obj, "rollback", name, watch, as_json)


@app.command()
def abort(
    context: typer.Context, name: NameOption = None, watch: WatchOption = False, as_json: JsonOption = False
) -> None:
    """Stop: candidates are removed, what is promoted stays."""
    _command(context.obj, "abort", name, watch, as_json)


def _command(connection: "Connection", command: str, name: str | None, watch: bool, as_json: bool) -> None:
    from bigpanda_mlflow.events import EventType, RolloutCommand
    from bigpanda_ops.door import send_event
    from bigpanda_ops.rollouts import await_command, check_command, look

    view = look(connection, name)
    if view is None:
        raise Wrong("there is no rollout" + (f" {name}" if name else ""))
    name = view.rollout.name
    # Named, so that it is never another one that began meanwhile.
    data = RolloutCommand.model_validate({"command": command, "rollout": name})
    check_command(connection, data)
    sent = send_event(connection, EventType.ROLLOUT_COMMAND, data)
    if watch:
        _watch(connection, await_command(connection, name, sent.key), as_json)
    elif as_json:
        print_json({**sent.as_json(), "rollout": name})
    else:
        say(f"Accepted: {command} {name}. See it go: bigpanda-mlflow rollout status --watch")


def _show(view: "View") -> None:
    from bigpanda_ops.rollout_view import tell

    rollout = view.rollout
    say(f"{rollout.name}: MLflow {rollout.version}, {rollout.image}", "bold")
    say(tell(view))
    if rollout.reason:
        say(f"why: {rollout.reason}")
    for failure in view.failures:
        say(f"task {failure.jeditaskid} {failure.phase.value}: {failure.reason}", "red")


def _watch(connection: "Connection", name: str, as_json: bool) -> None:
    """Ends the command when the rollout moves no more."""
    from bigpanda_ops.rollouts import follow

    views = follow(connection, name)
    last = _draw(views) if not as_json and sys.stdout.isatty() else _write(views, as_json)
    if not as_json:
        _show(last)
    raise typer.Exit(ExitCode.OK if last.is_well else ExitCode.WRONG)


def _draw(views: Iterable["View"]) -> "View":
    """A bar that moves. The last view."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from bigpanda_ops.rollout_view import tell

    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=stdout(), transient=True) as progress:
        bar = progress.add_task("")
        for view in views:
            progress.update(bar, total=view.rollout.services, completed=view.done, description=tell(view))
    return view


def _write(views: Iterable["View"], as_json: bool) -> "View":
    """A line a change. The last view."""
    from bigpanda_ops.rollout_view import tell

    said = ""
    for view in views:
        if (line := tell(view)) != said:
            said = line
            if as_json:
                print_json_line(view.as_json())
            else:
                say(line)
    return view
