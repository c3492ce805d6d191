"""`bigpanda-mlflow send`: an event through the front door, as BigPanDA or an operator sends one."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bigpanda_ops.outcomes import ExitCode, Misused
from bigpanda_ops.output import print_json, say

if TYPE_CHECKING:
    from bigpanda_mlflow.events import EventType
    from bigpanda_ops.door import Sent

app = typer.Typer(
    help="Send an event through the front door, and say what came of it.", no_args_is_help=True, rich_markup_mode=None
)

TaskArgument = Annotated[int | None, typer.Argument(help="PanDA's id of the task; not needed with --data.")]
ArtifactsOption = Annotated[
    list[str] | None, typer.Option("--artifacts", "-a", help="Where its tarballs are: URI prefix or file; repeatable.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="File with the event's data as JSON, - for standard input; options win.")
]
WaitOption = Annotated[int, typer.Option("--wait", min=0, max=60, help="Seconds to wait for the outcome; 0: do not.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.command()
def visualize(
    context: typer.Context,
    jeditaskid: TaskArgument = None,
    owner: Annotated[str | None, typer.Option(help="Who asks, for the record.")] = None,
    artifacts: ArtifactsOption = None,
    lifetime: Annotated[str | None, typer.Option(help="How long the page shall stay: P7D, PT12H.")] = None,
    minimize: Annotated[str | None, typer.Option(help="The objective's metric, where less is better.")] = None,
    maximize: Annotated[str | None, typer.Option(help="The objective's metric, where more is better.")] = None,
    max_points: Annotated[int | None, typer.Option(help="Points that the task was to evaluate.")] = None,
    prewarm: Annotated[bool | None, typer.Option("--prewarm", help="Start the page before anybody clicks.")] = None,
    data: DataOption = None,
    wait: WaitOption = 60,
    as_json: JsonOption = False,
) -> None:
    """Ask for a task's page, or for it to stay longer."""
    from bigpanda_mlflow.events import EventType

    if minimize and maximize:
        raise Misused("an objective is either --minimize or --maximize")
    metric = minimize or maximize
    objective = {"metric": metric, "direction": "minimize" if minimize else "maximize"} if metric else None
    fields = {
        "jeditaskid": jeditaskid,
        "owner": owner,
        "artifacts": artifacts or None,
        "lifetime": lifetime,
        "objective": objective,
        "max_points": max_points,
        "prewarm": prewarm,
    }
    _send(context, EventType.VISUALIZE, _merge(data, fields), wait, as_json)


@app.command()
def results(
    context: typer.Context,
    jeditaskid: TaskArgument = None,
    artifacts: ArtifactsOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that new tarballs may be there: they are ingested."""
    from bigpanda_mlflow.events import EventType

    fields = {"jeditaskid": jeditaskid, "artifacts": artifacts or None}
    _send(context, EventType.RESULTS, _merge(data, fields), 0, as_json)


@app.command()
def release(
    context: typer.Context,
    jeditaskid: TaskArgument = None,
    data: DataOption = None,
    wait: WaitOption = 60,
    as_json: JsonOption = False,
) -> None:
    """Delete a task's page now."""
    from bigpanda_mlflow.events import EventType

    _send(context, EventType.RELEASE, _merge(data, {"jeditaskid": jeditaskid}), wait, as_json)


@app.command("image-published")
def image_published(
    context: typer.Context,
    image: Annotated[str | None, typer.Option(help="The image by digest: registry/name@sha256:…")] = None,
    mlflow: Annotated[str | None, typer.Option(help="Version of the MLflow in it.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that there is a new MLflow image: it is rolled out (as `rollout start`)."""
    from bigpanda_mlflow.events import EventType

    _send(context, EventType.IMAGE_PUBLISHED, _merge(data, {"image": image, "version": mlflow}), 0, as_json)


def _merge(data: Path | None, fields: dict[str, Any]) -> dict[str, Any]:
    """What a file says, and over it what options say."""
    return {**(_read(data) if data else {}), **{name: value for name, value in fields.items() if value is not None}}


def _read(data: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(data) == "-" else data.read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as error:
        raise Misused(f"--data cannot be read: {data}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise Misused(f"--data is no JSON: {data}") from None
    if not isinstance(found, dict):
        raise Misused("--data is a JSON object: an event's data")
    return found


def _send(context: typer.Context, kind: "EventType", data: dict[str, Any], wait: int, as_json: bool) -> None:
    from bigpanda_ops.door import check_data, send_event

    sent = send_event(context.obj, kind, check_data(kind, data), wait)
    if as_json:
        print_json(sent.as_json())
    else:
        say(_tell(sent))
    raise typer.Exit(_judge(sent))


def _judge(sent: "Sent") -> ExitCode:
    from bigpanda_mlflow.events import EventType

    return ExitCode.WRONG if sent.outcome == EventType.FAILED.value else ExitCode.OK


def _tell(sent: "Sent") -> str:
    from bigpanda_mlflow.events import EventType

    data = sent.data
    match sent.outcome:
        case EventType.READY.value:
            return f"Task {data['jeditaskid']} is ready until {data['expires_at']}: {data['url']}"
        case EventType.FAILED.value:
            return f"Task {data['jeditaskid']} gets no page: {data['reason']}"
        case EventType.EXPIRED.value:
            return f"Task {data['jeditaskid']} has no page any more: {data['reason']}"
        case _:
            return f"Accepted: event {sent.key.id}"
