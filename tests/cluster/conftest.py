"""The platform on a real cluster, once for all tests here: `make e2e` runs them, and says where to by the environment.

| variable | what |
|---|---|
| `E2E_IMAGE_FUNCTIONS`, `E2E_IMAGE_MLFLOW`, `E2E_IMAGE_S3` | images that the cluster can pull, by digest |
| `E2E_IMAGE_OTHER` | the MLflow image again, with the release of MLflow that `support/releases.py` names |

How the cluster is reached: `support/real_cluster.py`.
"""

import os
from collections.abc import Iterator

import pytest

from bigpanda_laptop.sample import TASK
from support.need import lacking
from support.real_cluster import Target, find_target
from support.real_platform import FLEET, Images, Platform, deployed
from support.real_storage import s3_in_cluster


@pytest.fixture(scope="session", autouse=True)
def target() -> Target:
    """How the cluster is reached: without one, no test here runs."""
    if "KNATIVE_INGRESS" not in os.environ:
        lacking("no real cluster is named: run make e2e")
    return find_target()


@pytest.fixture(scope="session")
def images() -> Images:
    """What `make image` built."""
    try:
        return Images(*(os.environ[f"E2E_IMAGE_{name}"] for name in ("FUNCTIONS", "MLFLOW", "OTHER")))
    except KeyError:
        lacking("the images are not in the cluster's registry: run make e2e")


@pytest.fixture(scope="session")
def platform(target: Target, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform, ready, with the sample's tarballs in an S3 server of its own."""
    with (
        s3_in_cluster(os.environ["E2E_IMAGE_S3"], (TASK, *FLEET)) as stores,
        deployed(target, images, stores, tmp_path_factory.mktemp("overlay")) as found,
    ):
        yield found
