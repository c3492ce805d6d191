"""The two clusters of the contract: the embedded one, always; a real one, where the environment names it.

| variable | what |
|---|---|
| `CONTRACT_KUBECONFIG` | kubeconfig of the real cluster; without it the real half is skipped |
| `CONTRACT_INGRESS` | its ingress, such as `http://192.0.2.1` |
| `CONTRACT_DOMAIN` | its domain, such as `example.org`: Services are `<name>.<namespace>.<domain>` |
| `CONTRACT_IMAGE` | an image that answers any GET with 200 on `$PORT` |

The real cluster needs `allow-zero-initial-scale: "true"` in Knative's `config-autoscaler`, as this product does.
Delivery of events is not in the contract yet: a broker's address is inside its cluster.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.kit import Access, Cluster, Home
from embedded.kit import Cluster as Embedded
from embedded.kit import write_images


@pytest.fixture(scope="session", params=["embedded", "real"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One of the two; every test runs on each."""
    if request.param == "real":
        found = Cluster(_real_access(os.environ.get("CONTRACT_KUBECONFIG", "")))
        yield found
        found.close()
        return
    root = tmp_path_factory.mktemp("contract")
    with Embedded(root / "state", write_images(root)) as runtime:
        found = Cluster(_embedded_access(runtime))
        yield found
        found.close()


def _real_access(kubeconfig: str) -> Access:
    if not kubeconfig:
        pytest.skip("no real cluster: CONTRACT_KUBECONFIG is not set")
    return Access(
        kubeconfig=Path(kubeconfig),
        ingress=os.environ["CONTRACT_INGRESS"],
        domain=os.environ["CONTRACT_DOMAIN"],
        image=os.environ["CONTRACT_IMAGE"],
    )


def _embedded_access(runtime: Embedded) -> Access:
    port = runtime.endpoints["ingress"].rpartition(":")[2]
    return Access(
        kubeconfig=Path(runtime.endpoints["kubeconfig"]),
        ingress=runtime.endpoints["ingress"],
        domain=f"localhost:{port}",
        image="dev.local/test/echo:v1",
    )


@pytest.fixture
def home(cluster: Cluster) -> Iterator[Home]:
    """A namespace of the test's own, removed after it."""
    found = Home(cluster)
    yield found
    found.close()
