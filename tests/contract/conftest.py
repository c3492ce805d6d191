"""The two clusters of the contract: the embedded one, always; a real one, where the environment names it.

| variable | what |
|---|---|
| `KNATIVE_INGRESS` | ingress of the real cluster, such as `http://192.0.2.1`; without it the real half is skipped |
| `CONTRACT_IMAGE` | an image, by digest, with `python3` on its PATH; without it the real half is skipped |
| `KNATIVE_DOMAIN` | its domain, such as `example.org`: Services are `<name>.<namespace>.<domain>` |
| `KUBECONFIG` | its kubeconfig, one file |

While the tests run, Knative is set up as this product needs it (`knative/components/knative-config`).
`-k embedded` and `-k real` choose one of the two.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.delivery import Station
from contract.kit import Access, Cluster, Home
from embedded.kit import Cluster as Embedded
from support.real_platform import knative_configured


@pytest.fixture(scope="session", params=["embedded", "real"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One of the two; every test runs on each."""
    if request.param == "real":
        found = Cluster(_real_access())
        with knative_configured():
            yield found
        found.close()
        return
    root = tmp_path_factory.mktemp("contract")
    images = root / "images.toml"
    images.write_text(f'["contract/python3"]\nentrypoint = ["{sys.executable}"]\n')
    with Embedded(root / "state", images) as runtime:
        found = Cluster(_embedded_access(runtime))
        yield found
        found.close()


def _real_access() -> Access:
    for name in ("KNATIVE_INGRESS", "CONTRACT_IMAGE"):
        if not os.environ.get(name):
            pytest.skip(f"no real cluster: {name} is not set")
    return Access(
        kubeconfig=Path(os.environ["KUBECONFIG"]),
        ingress=os.environ["KNATIVE_INGRESS"],
        domain=os.environ["KNATIVE_DOMAIN"],
        image=os.environ["CONTRACT_IMAGE"],
    )


def _embedded_access(runtime: Embedded) -> Access:
    port = runtime.endpoints["ingress"].rpartition(":")[2]
    return Access(
        kubeconfig=Path(runtime.endpoints["kubeconfig"]),
        ingress=runtime.endpoints["ingress"],
        domain=f"localhost:{port}",
        image=f"registry.example/contract/python3@sha256:{'0' * 64}",
    )


@pytest.fixture
def home(cluster: Cluster) -> Iterator[Home]:
    """A namespace of the test's own, removed after it."""
    found = Home(cluster)
    yield found
    found.close()


@pytest.fixture(scope="module")
def station(cluster: Cluster) -> Iterator[Station]:
    """A namespace with a Broker and a receiver of events, for all tests of a module."""
    home = Home(cluster)
    yield Station(home)
    home.close()
