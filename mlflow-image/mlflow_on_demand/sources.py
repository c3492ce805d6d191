"""Where a task's tarballs come from: folders and single files of any store, and BigPanDA's export of a whole task.

What an event names is opened here and nowhere else, so that HTTP servers, which a redirect or a name can turn into
others, are asked within the deployment's reach only.
"""

import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, starmap
from operator import itemgetter
from typing import BinaryIO
from urllib.parse import urlsplit

from mlflow_on_demand.allowed import SAME, export_task
from mlflow_on_demand.compact import Compact
from mlflow_on_demand.errors import StoreUriError
from mlflow_on_demand.export import Export
from mlflow_on_demand.reach import Reach
from mlflow_on_demand.read_ahead import Place, read_ahead
from mlflow_on_demand.snapshot import Source
from mlflow_on_demand.store import Store, StoredObject
from mlflow_on_demand.stores import open_store, split_uri
from mlflow_on_demand.tarballs import TarballName, parse_tarball_name

# Of the file in which they are sorted.
_CACHE_KIB = 256


@dataclass(frozen=True, slots=True)
class Tarball:
    """One tarball to read, where it lies, and what the manifest says of it."""

    name: TarballName
    source: Source
    key: str
    store: Store | Export


class Tarballs:
    """The tarballs of a task in the order of ingest. There may be many thousands: of each only its source is held,
    in little memory.
    """

    def __init__(self, jeditaskid: int, places: tuple["_Place", ...]) -> None:
        self._jeditaskid, self._places = jeditaskid, places
        self.sources = Compact(_in_order(chain.from_iterable(place.list() for place in places)))

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[Tarball]:
        return map(self.find, self.sources)

    def find(self, source: Source) -> Tarball:
        """The tarball of one of the sources."""
        place = next(place for place in self._places if source.uri.startswith(place.prefix))
        return Tarball(self._name_of(source), source, source.uri.removeprefix(place.prefix), place.store)

    def _name_of(self, source: Source) -> TarballName:
        name = parse_tarball_name(source.name, self._jeditaskid)
        assert name is not None, "only the task's own are listed"
        return name


def _in_order(found: Iterable[tuple[TarballName, Source]]) -> Iterator[Source]:
    """The sources in the order of their names, each URI once: sorted in a scratch file, for there may be many."""
    with closing(sqlite3.connect("", isolation_level=None)) as listed:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            listed.execute(f"PRAGMA {pragma}")
        # A serial may have any number of digits.
        listed.execute(
            "CREATE TABLE listed (segment TEXT, digits INTEGER, serial TEXT, name TEXT, uri TEXT, size INTEGER,"
            " etag TEXT, PRIMARY KEY (segment, digits, serial, name, uri)) WITHOUT ROWID"
        )
        listed.execute("BEGIN")
        listed.executemany("INSERT OR IGNORE INTO listed VALUES (?, ?, ?, ?, ?, ?, ?)", map(_row_of, found))
        rows = listed.execute("SELECT name, uri, size, etag FROM listed ORDER BY segment, digits, serial, name, uri")
        yield from starmap(Source, rows)


def _row_of(one: tuple[TarballName, Source]) -> tuple[str | int, ...]:
    name, source = one
    serial = str(name.serial)
    return name.segment, len(serial), serial, name.name, source.uri, source.size, source.etag


def find_tarballs(jeditaskid: int, artifacts: tuple[str, ...]) -> Tarballs:
    """The task's metrics tarballs under these URI prefixes (or single files ending in .tgz, or its export). An export
    is read to its end for it.
    """
    return Tarballs(jeditaskid, tuple(_open_place(uri, jeditaskid) for uri in artifacts))


def read_each(tarballs: Iterable[Tarball], told: Iterator[object]) -> Generator[tuple[Tarball, BinaryIO], None, None]:
    """Each tarball with its content, which is read before the next is asked for: in their order, several on their way
    at a time, and then those of an export as it brings them, in one pass. `told` is advanced before each. Close it when
    it is not read to its end.
    """
    exported: dict[Export, dict[str, Tarball]] = {}
    with closing(read_ahead(_placed(tarballs, exported), itemgetter(1))) as ahead:
        for (tarball, _), content in ahead:
            next(told, None)
            with content as stream:
                yield tarball, stream
    for export, members in exported.items():
        listed = {key: StoredObject(key, one.source.size, 0, one.source.etag) for key, one in members.items()}
        for found, stream in export.read_members(listed):
            next(told, None)
            yield members[found.key], stream


def _placed(tarballs: Iterable[Tarball], exported: dict[Export, dict[str, Tarball]]) -> Iterator[tuple[Tarball, Place]]:
    """Those that are objects of a store; the others are put into `exported`."""
    for one in tarballs:
        if isinstance(one.store, Export):
            exported.setdefault(one.store, {})[one.key] = one
        else:
            yield one, Place(one.store, one.key, one.source.size)


@dataclass(frozen=True)
class _Place:
    """What an event names: a store, or one object of it; `prefix` and a key make a URI."""

    jeditaskid: int
    prefix: str
    store: Store | Export
    objects: Callable[[], Iterable[StoredObject]]

    def list(self) -> Iterator[tuple[TarballName, Source]]:
        """The tarballs in it."""
        for found in self.objects():
            name = parse_tarball_name(found.key.rpartition("/")[2], self.jeditaskid)
            if name is not None:
                yield name, Source(name.name, f"{self.prefix}{found.key}", found.size, found.etag)


def _open_place(uri: str, jeditaskid: int) -> _Place:
    try:
        _ = urlsplit(uri).port
    except ValueError:
        raise StoreUriError("the address of a source is no URI, or has a port that is no number") from None
    if export_task(uri) is not None:
        export = Export(uri, jeditaskid, Reach.from_env(os.environ))
        return _Place(jeditaskid, f"{uri}#", export, export.list)
    prefix, key = split_uri(uri)
    is_one = uri.endswith(".tgz")
    store = _open(prefix if is_one else uri)
    return _Place(jeditaskid, f"{store.uri}/", store, (lambda: [store.stat(key)]) if is_one else store.list)


def _open(uri: str) -> Store:
    scheme = uri.partition("://")[0]
    if SAME.get(scheme, scheme) not in ("http", "https"):
        return open_store(uri)
    from mlflow_on_demand.store_http import HttpStore

    return HttpStore(uri, Reach.from_env(os.environ))
