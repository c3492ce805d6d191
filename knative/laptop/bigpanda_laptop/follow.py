"""What the terminal of `make run` shows while it runs: pages that appear, wake, fall asleep and end."""

import time

from bigpanda_laptop.deploy import Deployment, Resource

_SECONDS = 0.5
_SERVICE = "serving.knative.dev/service"


def follow(deployment: Deployment) -> None:
    """Prints a line a change until interrupted."""
    before: dict[str, str] | None = None
    while True:
        now = describe(deployment.services(), deployment.objects("v1", "Pod"))
        for line in compare(now if before is None else before, now):
            print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)
        before = now
        time.sleep(_SECONDS)


def describe(services: list[Resource], pods: list[Resource]) -> dict[str, str]:
    """Each Service's name, and whether it is awake."""
    awake = {pod["metadata"].get("labels", {}).get(_SERVICE) for pod in pods}
    names = [service["metadata"]["name"] for service in services]
    return {name: "awake" if name in awake else "asleep" for name in names}


def compare(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """One line for each Service that is not as it was."""
    lines = [f"{name} is {state}" for name, state in now.items() if name in before and before[name] != state]
    lines += [f"{name} was made ({state})" for name, state in now.items() if name not in before]
    return lines + [f"{name} has ended" for name in before if name not in now]
