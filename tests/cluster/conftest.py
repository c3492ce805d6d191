"""The platform on a real cluster, once for all tests here: `make e2e` runs them, and says where to by the environment.

| variable | what |
|---|---|
| `E2E_IMAGE_FUNCTIONS`, `E2E_IMAGE_MLFLOW`, `E2E_IMAGE_S3` | images that the cluster can pull, by digest |

How the cluster is reached: `support/real_cluster.py`.
"""

import os
from collections.abc import Iterator

import pytest

from support.need import lacking
from support.real_cluster import Target, find_target
from support.real_platform import Images, Platform, deployed
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
        return Images(os.environ["E2E_IMAGE_FUNCTIONS"], os.environ["E2E_IMAGE_MLFLOW"])
    except KeyError:
        lacking("the images are not in the cluster's registry: run make e2e")


@pytest.fixture(scope="session")
def platform(target: Target, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform, ready, with the sample's tarballs in an S3 server of its own."""
    with (
        s3_in_cluster(os.environ["E2E_IMAGE_S3"]) as stores,
        deployed(target, images, stores, tmp_path_factory.mktemp("overlay")) as found,
    ):
        yield found
