"""A whole platform for the command line's tests, and the program as an operator runs it there."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bigpanda_laptop.deploy import METRICS
from bigpanda_ops.main import main
from support.laptop import Laptop, running_laptop, until

PROGRAM = str(Path(sys.executable).with_name("bigpanda-mlflow"))


@dataclass
class Done:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, stdin: str = "", **environment: str) -> Done:
    """The program in a pipe; nothing of the surrounding environment says where a platform is.

    In this process: a new one for each would import the Kubernetes client anew, half of what a test takes.
    """
    before, out, err = dict(os.environ), io.StringIO(), io.StringIO()
    for name in before:
        if name.startswith(("BIGPANDA", "AWS", "KUBE")):
            del os.environ[name]
    os.environ.update(environment)
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setattr(sys, "argv", [PROGRAM, *arguments])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            with pytest.raises(SystemExit) as end:
                main()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Done(int(end.value.code or 0), out.getvalue(), err.getvalue())


@dataclass
class Ops:
    """An operator at the keyboard of a machine where `make run` runs."""

    laptop: Laptop
    state: Path

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        return run(*arguments, stdin=stdin, **{"KUBECONFIG": str(self.laptop.kubeconfig), **environment})

    def doctor(self, task: int, *options: str, **environment: str) -> tuple[int, str, str]:
        """Exit code, the stage that is wrong (or "") and what is said of it; advice is always there."""
        done = self.run("doctor", str(task), "--json", *options, **environment)
        found = json.loads(done.stdout)
        assert (found["fault"] is None) == (done.returncode == 0)
        fault = found["fault"] or {"stage": "", "text": "", "advice": "."}
        assert fault["advice"]
        return done.returncode, fault["stage"], fault["text"]

    def put(self, task: int, tarballs: Mapping[str, bytes]) -> list[str]:
        """Tarballs into the task's place; the URI that an event names."""
        folder = self.state / "s3" / METRICS / str(task)
        folder.mkdir(parents=True)
        for name, content in tarballs.items():
            (folder / f"{task}.metrics.{name}.tgz").write_bytes(content)
        return [f"s3://{METRICS}/{task}/"]

    def snapshots(self, task: int) -> list[Path]:
        """The folders of its snapshots, once one is published."""
        found: list[Path] = until(
            lambda: [path.parent for path in (self.state / "s3/snapshots" / str(task)).glob("*/manifest.json")],
            60,
            f"task {task} is ingested",
        )
        return found

    def ask(self, task: int, artifacts: list[str], **changes: Any) -> None:
        """The event for a page."""
        assert self.laptop.publish(jeditaskid=task, artifacts=artifacts, **changes).status_code == 202


@pytest.fixture(scope="session")
def ops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ops]:
    state = tmp_path_factory.mktemp("ops")
    with running_laptop(state, "--idle-window", "6s") as laptop:
        yield Ops(laptop, state)
