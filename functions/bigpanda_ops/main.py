"""The program `bigpanda-mlflow`: its options, its commands, and how every fault becomes a sentence and an exit code."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bigpanda_ops.commands import doctor, rollout, send, tasks
from bigpanda_ops.connection import TOKEN, Connection, Options
from bigpanda_ops.outcomes import ExitCode, OpsError
from bigpanda_ops.output import complain

_EPILOG = """Exit codes: 0 all is well; 1 something is wrong with what was asked about, or it was refused; 2 the command
line makes no sense; 3 cluster, front door, page or store cannot be reached; 4 a fault of this program; 130 Ctrl-C."""

app = typer.Typer(
    help="Look after the fleet of BigPanDA's MLflow pages. All it does can be done by event or by kubectl too.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("tasks")(tasks.tasks)
app.add_typer(send.app, name="send")
app.command("doctor")(doctor.doctor)
app.add_typer(rollout.app, name="rollout")


@app.callback()
def _connect(
    context: typer.Context,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="As kubectl's; without it $KUBECONFIG, ~/.kube/config, then a make run here.")
    ] = None,
    kube_context: Annotated[str | None, typer.Option("--context", help="Of the kubeconfig; else the current.")] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", envvar="BIGPANDA_NAMESPACE", help="Else the context's, else bigpanda."),
    ] = None,
    front: Annotated[
        str | None, typer.Option(envvar="BIGPANDA_FRONT_URL", help="Address of the front door; else the cluster tells.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            envvar=f"{TOKEN}_FILE", help=f"File with the front door's token; else ${TOKEN} has it. Never an argument."
        ),
    ] = None,
) -> None:
    connection = Connection(Options(kubeconfig, kube_context, namespace, front, token_file))
    context.obj = connection
    context.call_on_close(connection.close)


def main() -> None:
    """Ends the process with the command's exit code; nothing but a sentence is said of a fault."""
    try:
        app()
    except OpsError as error:
        complain(str(error))
        sys.exit(error.code)
    except KeyboardInterrupt:  # one that came while this program ended or started
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:  # whatever it is, a person gets a sentence
        complain(f"a fault of this program, please report it: {type(error).__name__}: {error}")
        sys.exit(ExitCode.FAULT)
