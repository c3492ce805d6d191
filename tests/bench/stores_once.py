"""One process that lists a store and reads all of it, one object after the other or as ingest does.

usage: python -m bench.stores_once <uri> serial|ahead

Prints JSON: seconds, seconds of a core, 10^6 bytes, objects, bytes. Its memory is measured, so it imports nothing
of the tests.
"""

import json
import sys
from collections.abc import Iterator
from functools import partial

from bench.ingest_once import measure, peak
from mlflow_on_demand.read_ahead import Place, read_ahead
from mlflow_on_demand.store import CHUNK, Store
from mlflow_on_demand.stores import open_store


def main(uri: str, how: str) -> None:
    sizes: list[int] = []
    read = {"serial": read_serially, "ahead": read_as_ingest}[how]
    spent, worked = measure(lambda: sizes.extend(read(open_store(uri))))
    told = {"seconds": spent, "cpu": worked, "megabytes": peak(), "objects": len(sizes), "bytes": sum(sizes)}
    print(json.dumps(told))


def read_serially(store: Store) -> Iterator[int]:
    for found in store.list():
        with store.open(found.key) as stream:
            yield sum(len(chunk) for chunk in iter(partial(stream.read, CHUNK), b""))


def read_as_ingest(store: Store) -> Iterator[int]:
    for _, content in read_ahead(store.list(), lambda found: Place(store, found.key, found.size)):
        with content as stream:
            yield sum(len(chunk) for chunk in iter(partial(stream.read, CHUNK), b""))


if __name__ == "__main__":
    main(*sys.argv[1:])
