"""`make run`: the whole platform on one machine, with a sample task, until Ctrl-C.

State is kept under one folder, so the next run finds everything where it was; nothing runs on after it.
"""

import argparse
import contextlib
import logging
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import requests

from bigpanda_laptop import sample
from bigpanda_laptop.deploy import (
    METRICS,
    NAMESPACE,
    Deployment,
    NotReadyError,
    deploy,
    keep_token,
    make_secrets,
    make_settings,
    read_manifests,
    read_ready,
)
from bigpanda_laptop.follow import follow
from bigpanda_laptop.runtime import Platform, Ports, RuntimeFailedError, running_platform
from bigpanda_laptop.s3 import S3Server, S3ServerError

_KNATIVE = Path(__file__).parents[2]
_SAMPLE_SECONDS = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until interrupted; the exit code is 0 then, and 1 with a sentence when something could not start."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with contextlib.ExitStack() as stack:
            _run(options, stack)
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running. `make run` continues where this ended.")
        return 0
    except (S3ServerError, RuntimeFailedError, NotReadyError, requests.RequestException) as error:
        print(f"Could not start: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace, stack: contextlib.ExitStack) -> None:
    started = time.monotonic()
    _say(started, "starting the S3 server")
    s3 = stack.enter_context(S3Server(options.state / "s3"))
    count = sample.Storage(s3.environment).load()
    _say(started, f"{count} metrics tarballs of task {sample.TASK} are in s3://{METRICS}/{sample.TASK}/")
    ports = Ports(options.ingress_port, options.internal_port, options.api_port)
    platform = stack.enter_context(
        running_platform(options.state / "knative", _KNATIVE / "laptop" / "images.toml", ports)
    )
    _say(started, "the embedded Knative answers")
    deployment = Deployment(platform.kubeconfig)
    _deploy(deployment, platform, s3, options)
    _say(started, "the functions are ready")
    broker = f"{platform.internal}/{NAMESPACE}/default"
    data = sample.make_event_data(options.lifetime)
    sample.fire(broker, data)
    _say(started, "the broker has the event; waiting for the page and its snapshot")
    url = _wait_for_page(deployment, sample.Storage(s3.environment))
    _say(started, f"task {sample.TASK} is ready")
    print(_summary(url, sample.make_curl(broker, data), platform, options), flush=True)
    follow(deployment)


def _deploy(deployment: Deployment, platform: Platform, s3: S3Server, options: argparse.Namespace) -> None:
    tokens = (keep_token(options.state / name) for name in ("front-token", "ops-token"))
    settings = make_settings(platform.ingress, platform.internal, options.idle_window)
    deploy(deployment, read_manifests(_KNATIVE / "base"), [settings, *make_secrets(s3.environment, *tokens)])


def _wait_for_page(deployment: Deployment, storage: sample.Storage) -> str:
    deadline = time.monotonic() + _SAMPLE_SECONDS
    why = "no Service was made"
    while time.monotonic() < deadline:
        for service in deployment.services():
            name, ready, why_not = read_ready(service)
            if name == f"task-{sample.TASK}":
                why = why_not
                if ready and storage.has_snapshot():
                    return str(service["status"]["url"])
                why = why if not ready else "its tarballs are not ingested"
        time.sleep(0.2)
    raise NotReadyError(f"task {sample.TASK} did not appear: {why}; see the logs of the functions")


def _summary(url: str, curl: str, platform: Platform, options: argparse.Namespace) -> str:
    kubectl = "kubectl" if shutil.which("kubectl") else "kubectl (not installed here)"
    front = f"http://front.{NAMESPACE}.localhost:{platform.ingress.rsplit(':', 1)[1]}"
    return f"""
  Open      {url}/
  Sleeps    {options.idle_window} after the last request; opening it wakes it again.
            Every other Service but `front` and `visualize` sleeps as well.
  Again     {curl}
  State     curl -H "Authorization: Bearer $(cat {options.state}/front-token)" {front}/tasks/{sample.TASK}
  Look      export KUBECONFIG={platform.kubeconfig}
            {kubectl} -n {NAMESPACE} get ksvc,pods
            {Path(sys.executable).with_name("bigpanda-mlflow")} doctor {sample.TASK}
  Stop      Ctrl-C
"""


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--state", type=Path, default=Path(".state"), help="folder that keeps everything (%(default)s)")
    parser.add_argument("--idle-window", default="20s", help="a page sleeps after this long unused (%(default)s)")
    parser.add_argument("--lifetime", default="P1D", help="lifetime of the sample's page (%(default)s)")
    parser.add_argument("--ingress-port", type=int, default=8080, help="where pages are (%(default)s; 0: a free one)")
    parser.add_argument("--internal-port", type=int, default=8081, help="where the broker is (%(default)s)")
    parser.add_argument("--api-port", type=int, default=6443, help="where Kubernetes' API is (%(default)s)")
    options = parser.parse_args(arguments)
    options.state = options.state.resolve()
    return options


def _say(started: float, what: str) -> None:
    print(f"{time.monotonic() - started:5.1f} s  {what}", flush=True)


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
