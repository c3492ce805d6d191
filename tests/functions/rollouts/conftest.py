"""One API server for all rollouts, beside the broker of all handlers; each test has a namespace of its own."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from embedded.kit import Cluster as Runtime
from support.rollouts import World, write_images
from support.sink import Sink

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    root = tmp_path_factory.mktemp("rollouts")
    with Runtime(root / "state", write_images(root)) as found:
        yield found


@pytest.fixture
def make_world(runtime: Runtime, sink: Sink) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**settings: str) -> World:
        made.append(World(runtime, f"fleet-{next(_numbers)}", sink.url, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
