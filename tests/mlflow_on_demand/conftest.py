"""What several modules of tests compare: made once, for it takes most of a minute."""

from collections.abc import Iterator

import pytest

from support.both_servers import Both, serving_both


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Stock MLflow and our server over the same task."""
    with serving_both(tmp_path_factory.mktemp("both")) as both:
        yield both
