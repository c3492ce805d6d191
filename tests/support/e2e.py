"""`make e2e`: the tests that need a real cluster, on that of the current kubeconfig.

Pushes the images that `make image` built, and names them to the tests by the variables of `tests/cluster/conftest.py`
and `tests/contract/conftest.py`.
"""

import os
import subprocess
import sys
from pathlib import Path

from support.real_cluster import find_target

ROOT = Path(__file__).parents[2]
REPOSITORY = "bigpanda-mlflow"


def main() -> None:
    """Replaces this process by pytest's; arguments are handed on."""
    target = find_target()
    print(f"Cluster: ingress {target.ingress}, domain {target.domain}, registry {target.registry}", flush=True)
    images = push_images(target.registry, "functions", "mlflow", "other", "s3")
    os.environ |= {
        "KUBECONFIG": os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config"),
        "KNATIVE_INGRESS": target.ingress,
        "KNATIVE_DOMAIN": target.domain,
        "REGISTRY": target.registry,
        "CONTRACT_IMAGE": images["functions"],
        **{f"E2E_IMAGE_{name.upper()}": image for name, image in images.items()},
    }
    named = any(argument.startswith("tests/") for argument in sys.argv[1:])
    suites = [] if named else ["tests/cluster", "tests/contract"]
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "-k", "not embedded", *suites, *sys.argv[1:]])


def push_images(registry: str, *names: str) -> dict[str, str]:
    """Each image by digest, once the registry has it."""
    environment = {"REGISTRY_TLS_VERIFY": "false", **os.environ}
    command = [str(ROOT / "mlflow-image" / "push-images"), f"{registry}/{REPOSITORY}", *names]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found = dict(line.split() for line in done.stdout.splitlines())
    for name, image in found.items():
        print(f"{name}: {image}", flush=True)
    return found


if __name__ == "__main__":
    main()
