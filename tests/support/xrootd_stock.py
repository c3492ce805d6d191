"""Stock MLflow with our plug-in beside it, installed as users do: MLflow finds it by its entry points alone."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

from bench.stock import prepare_stock

REPOSITORY = Path(__file__).parents[2]


def install_plugin(folder: Path) -> tuple[Path, dict[str, str]]:
    """The `mlflow` command of stock MLflow, and the environment in which it has the plug-in, which goes into `folder`.

    The environment of stock MLflow stays as it is.
    """
    version = importlib.metadata.version("xrootd")
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-config", "--no-deps"]
    install += ["--python", sys.executable, "--target", str(folder)]
    subprocess.run([*install, f"xrootd=={version}"], check=True)
    subprocess.run([*install, "--no-build-isolation", str(REPOSITORY)], check=True)
    # Of this repository nothing else: its own environment has an MLflow without numpy.
    return prepare_stock(), {"PYTHONPATH": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"}
