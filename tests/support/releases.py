"""A second release of MLflow, for tests of an upgrade: this environment's packages, and in front of them that MLflow.

`tests/data/other-mlflow.lock` names the release by its hash. All else is the locked environment itself, so two servers
differ in MLflow alone. The environment is made at the first call (some seconds, and the network) and kept under
`.cache`; what an image prepares when it is built, compressed files and an empty database, is prepared in it too.

What differs between 3.17.2 and 3.18.0, as far as it concerns us:

- The schema: `dc11669786a5` against `f4a9b2c7d1e6`, three migrations further (issues, skill registry, names of MCP
  servers). So each release has snapshots of its own, and neither opens the other's.
- The UI: of 426 files, 140 have names of their own, `main.js` among them; a file of the same hashed name is the same.
  Six of the chunks that the page is told of early (`ui_page.py`) have other numbers, which costs 3.18 some hints.
- The routes: one more in Flask (`POST issues/schedule/state`), which is refused. All that we allow is in both, and
  the recorded answers differ in `server-info` alone, which has more fields.
- The first look, the live look and the recorded answers of the image's own tests pass with either.

The package `mlflow-skinny` of 3.18.0 is not needed for it, as `mlflow` brings all of its files; its absence is why
MLflow warns of packages beside it that are of another release.
"""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from support.hpo_files import TASK
from support.need import lacking
from support.packed_ui import QUALITY, link_packages

_TESTS = Path(__file__).parents[1]
_LOCK = _TESTS / "data" / "other-mlflow.lock"
_PREPARE = f"""
from mlflow_on_demand.compress_ui import compress_ui
from mlflow_on_demand.empty_database import prepare
compress_ui(quality={QUALITY})
prepare()
"""


def other_version() -> str:
    """The other release, e.g. `3.18.0`."""
    found = re.search(r"^mlflow==(\S+)", _LOCK.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


@cache
def other_python() -> str:
    """The Python in whose eyes the other release is installed."""
    folder = _TESTS.parent / ".cache" / f"mlflow-{other_version()}"
    python, complete = folder / "bin" / "python", folder / "complete"
    made = complete.exists()
    uv = [sys.executable, "-m", "uv"]
    if not made:
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        install = [*uv, "pip", "install", "--quiet", "--no-config", "--no-deps", "--require-hashes"]
        command = [*install, "--python", str(python), "--requirement", str(_LOCK)]
        if subprocess.run(command, check=False).returncode != 0:
            lacking(f"MLflow {other_version()} cannot be installed: the first run needs the network")
    link_packages(folder)
    if not made:
        subprocess.run([str(python), "-c", _PREPARE], check=True, cwd=folder)
        complete.touch()
    return str(python)


def run_other(code: str) -> str:
    """What a piece of Python prints where the other release is installed."""
    return _run(other_python(), "-c", code)


def ingest_with(
    python: str, tarballs: str, snapshot_store: str, metric: str, task: int = TASK, **environment: str
) -> None:
    """Ingest a task with whichever release this Python has."""
    _run(python, "-m", "support.ingest_release", str(task), tarballs, snapshot_store, metric, **environment)


def _run(python: str, *arguments: str, **more: str) -> str:
    # MLflow warns that packages beside it are of another release.
    command, environment = [python, "-W", "ignore", *arguments], {**os.environ, "PYTHONPATH": str(_TESTS), **more}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
