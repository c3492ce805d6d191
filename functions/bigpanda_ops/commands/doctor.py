"""`bigpanda-mlflow doctor`: the first thing that is wrong with a task, and what to do."""

from typing import TYPE_CHECKING, Annotated

import typer

from bigpanda_ops.outcomes import ExitCode
from bigpanda_ops.output import print_json, say
from mlflow_on_demand.settings import MAX_JEDITASKID

if TYPE_CHECKING:
    from bigpanda_ops.connection import Connection
    from bigpanda_ops.findings import Finding


def doctor(
    context: typer.Context,
    jeditaskid: Annotated[int, typer.Argument(min=1, max=MAX_JEDITASKID, help="PanDA's id of the task.")],
    wake: Annotated[bool, typer.Option(help="Wake the page and ask it; without, it is left asleep.")] = True,
    patience: Annotated[float, typer.Option(min=1, max=600, help="Seconds that a wake may take.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Say what is the first thing wrong with a task on its way from event to data, and what to do about it."""
    from bigpanda_ops.case import Case
    from bigpanda_ops.doctor import examine

    connection: Connection = context.obj
    found: list[Finding] = []
    for finding in examine(Case(connection, jeditaskid, wake, patience)):
        found.append(finding)
        if not as_json:
            _show(finding)
    last = found[-1]
    if as_json:
        print_json(_document(jeditaskid, found))
    elif last.advice is None:
        say(f"All is well with task {jeditaskid}.")
    raise typer.Exit(last.code)


def _show(finding: "Finding") -> None:
    if finding.advice is None:
        say(f"ok     {finding.stage:9} {finding.text}")
        return
    say(f"WRONG  {finding.stage:9} {_sentence(finding.text)}", "bold red")
    say(f"       what to do: {_sentence(finding.advice)}")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _document(jeditaskid: int, found: "list[Finding]") -> dict[str, object]:
    last = found[-1]
    passed = [one.as_json() for one in found if one.advice is None]
    fault = None if last.code is ExitCode.OK else last.as_json()
    return {"jeditaskid": jeditaskid, "ok": fault is None, "passed": passed, "fault": fault}
