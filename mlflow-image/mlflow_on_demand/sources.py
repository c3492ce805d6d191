"""Where a task's tarballs come from: folders and single files of any store, and BigPanDA's export of a whole task.

What an event names is opened here and nowhere else, so that HTTP servers, which a redirect or a name can turn into
others, are asked within the deployment's reach only.
"""

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from operator import itemgetter
from typing import BinaryIO
from urllib.parse import urlsplit

from mlflow_on_demand.allowed import SAME, export_task
from mlflow_on_demand.export import Export
from mlflow_on_demand.reach import Reach
from mlflow_on_demand.read_ahead import Place, read_ahead
from mlflow_on_demand.snapshot import Source
from mlflow_on_demand.store import Store, StoredObject
from mlflow_on_demand.stores import open_store, split_uri
from mlflow_on_demand.tarballs import TarballName, parse_tarball_name


@dataclass(frozen=True, order=True, slots=True)
class Tarball:
    """One tarball to read, and where it lies; the order is that of ingest."""

    name: TarballName
    uri: str
    key: str = field(compare=False)
    store: Store | Export = field(compare=False)
    found: StoredObject = field(compare=False)

    @property
    def source(self) -> Source:
        """What the manifest says of it."""
        return Source(self.name.name, self.uri, self.found.size, self.found.etag)


def find_tarballs(jeditaskid: int, artifacts: tuple[str, ...]) -> tuple[Tarball, ...]:
    """The task's metrics tarballs under these URI prefixes (or single files ending in .tgz, or its export), in the
    order of ingest. An export is read to its end for it.
    """
    found = {tarball.uri: tarball for uri in artifacts for tarball in _tarballs_at(uri, jeditaskid)}
    return tuple(sorted(found.values()))


def read_each(tarballs: Iterable[Tarball], told: Iterator[object]) -> Generator[tuple[Tarball, BinaryIO], None, None]:
    """Each tarball with its content, which is read before the next is asked for: in their order, several on their way
    at a time, and then those of an export as it brings them, in one pass. `told` is advanced before each. Close it when
    it is not read to its end.
    """
    every = tuple(tarballs)
    placed = ((one, Place(one.store, one.key, one.found.size)) for one in every if not isinstance(one.store, Export))
    with closing(read_ahead(placed, itemgetter(1))) as ahead:
        for (tarball, _), content in ahead:
            next(told, None)
            with content as stream:
                yield tarball, stream
    for export in {id(one.store): one.store for one in every if isinstance(one.store, Export)}.values():
        members = {one.key: one for one in every if one.store is export}
        for found, stream in export.read_members({key: one.found for key, one in members.items()}):
            next(told, None)
            yield members[found.key], stream


def _tarballs_at(uri: str, jeditaskid: int) -> Iterator[Tarball]:
    if export_task(uri) is not None:
        export = Export(uri, jeditaskid, Reach.from_env(os.environ))
        for entry in export.list():
            name = parse_tarball_name(entry.key, jeditaskid)
            if name is not None:
                yield Tarball(name, f"{uri}#{entry.key}", entry.key, export, entry)
        return
    prefix, key = split_uri(uri)
    single = uri.endswith(".tgz")
    store = _open(prefix if single else uri)
    for entry in [store.stat(key)] if single else store.list():
        name = parse_tarball_name(entry.key.rpartition("/")[2], jeditaskid)
        if name is not None:
            yield Tarball(name, f"{store.uri}/{entry.key}", entry.key, store, entry)


def _open(uri: str) -> Store:
    scheme = urlsplit(uri).scheme
    if SAME.get(scheme, scheme) not in ("http", "https"):
        return open_store(uri)
    from mlflow_on_demand.store_http import HttpStore

    return HttpStore(uri, Reach.from_env(os.environ))
