"""A real runtime for the tests: its own process, free ports, and small servers as images."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedded.kit import Cluster, write_images


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A runtime that most tests share: each uses names of its own."""
    root = tmp_path_factory.mktemp("cluster")
    with Cluster(root / "state", write_images(root)) as found:
        yield found


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[Callable[[], Cluster]]:
    """Runtimes over one state folder, one after the other; what still runs at the end is ended."""
    made: list[Cluster] = []
    images = write_images(tmp_path)

    def make() -> Cluster:
        made.append(Cluster(tmp_path / "state", images))
        return made[-1]

    yield make
    for one in made:
        one.stop()
