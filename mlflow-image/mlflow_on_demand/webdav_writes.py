"""Writes to a WebDAV server so that readers see the old or the new, and what such servers can do of it.

Content goes to a hidden name beside its target and is moved there. What a server cannot do is found out when it is
first needed, by hidden names that nobody else has: a server that knows no MOVE, or that takes the escapes of its
destination for part of the name (XRootD's door, 5.5), is written to directly.
"""

import io
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import partial
from io import BytesIO
from itertools import count
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from mlflow_on_demand.errors import PreconditionFailed, StoreError
from mlflow_on_demand.http_client import HttpClient, make_error
from mlflow_on_demand.transfer import persist

UNFINISHED = ".unfinished-"
"""How the names of writes begin that have not ended."""


class WebdavWrites:
    """The writes of one store: `url_of` gives a key's address, `is_there` and `delete` are the store's own."""

    def __init__(
        self,
        client: HttpClient,
        url_of: Callable[[str], str],
        is_there: Callable[[str], bool],
        delete: Callable[[str], None],
    ) -> None:
        self._client, self._url, self._is_there, self._delete = client, url_of, is_there, delete
        self._heeds_conditions: bool | None = None
        self._decodes: bool | None = None
        self._moves = True

    def write(self, key: str, content: BinaryIO, *, overwrite: bool) -> None:
        """Write what a seekable stream holds; PreconditionFailed if it may not overwrite what is there."""
        beside = _beside(key)
        if self._can_move_to(key):
            try:
                self.put(beside, content, {})
                self._move(beside, key, overwrite=overwrite)
            except BaseException:
                with suppress(StoreError):
                    self._delete(beside)
                raise
        if not self._can_move_to(key):  # which may have been found out just now
            self._delete(beside)
            self.put(key, content, {} if overwrite else {"If-None-Match": "*"})

    def put(self, key: str, content: BinaryIO, condition: Mapping[str, str]) -> None:
        """Write directly, under a condition that the server may heed; the folders are made where they are missing."""
        headers = {**condition, "Content-Length": str(content.seek(0, io.SEEK_END))}

        def put() -> bool:
            content.seek(0)
            with closing(self._client.ask("PUT", self._url(key), headers, content)) as answer:
                if answer.status in (200, 201, 202, 204):
                    return True
                if answer.status in (404, 409):  # the folder that it should lie in is missing
                    return False
                raise make_error(answer, f"'{key}'")

        if not persist(put):
            self._make_folders(key)
            if not persist(put):
                raise StoreError(f"the server has no place for '{key}'")

    def heeds_conditions(self, key: str) -> bool:
        """Whether the server heeds `If-Match`, found out beside a key: one that does refuses what can match nothing."""
        if self._heeds_conditions is None:
            beside = _beside(key)
            try:
                self.put(beside, BytesIO(), {"If-Match": '"matches nothing"'})
                self._heeds_conditions = False
                self._delete(beside)
            except PreconditionFailed:
                self._heeds_conditions = True
        return self._heeds_conditions

    def _can_move_to(self, key: str) -> bool:
        if self._moves and self._decodes is None and "%" in self._url(key):
            # At the top: where it leads elsewhere, so do folders whose names have escapes.
            source, target = _beside(""), f"{_beside('')} ü"
            self.put(source, BytesIO(), {})
            self._move(source, target, overwrite=True)
            self._decodes = self._is_there(target)
            self._delete(target if self._decodes else source)
            if self._moves and not self._decodes:
                address = urlsplit(self._url(target))
                misplaced = address._replace(path=quote(address.path, safe="/~")).geturl()
                persist(partial(self._client.ask, "DELETE", misplaced)).close()
        return self._moves and (self._decodes is not False or "%" not in self._url(key))

    def _make_folders(self, key: str) -> None:
        """Those that a key lies in, the outermost first, the store's own among them."""
        address = urlsplit(self._url(key))
        for end in [at for at, character in enumerate(address.path) if character == "/"][1:]:
            url = address._replace(path=address.path[: end + 1]).geturl()
            # What it says is not asked: of a folder that is there, or not ours to make, servers say different things.
            persist(partial(self._client.ask, "MKCOL", url)).close()

    def _move(self, beside: str, key: str, *, overwrite: bool) -> None:
        headers = {"Destination": self._url(key), "Overwrite": "T" if overwrite else "F"}
        tries = count()

        def move() -> None:
            is_first = next(tries) == 0
            with closing(self._client.ask("MOVE", self._url(beside), headers)) as answer:
                if answer.status in (405, 501):
                    self._moves = False
                # Not there any more when it is asked again: the answer to the first request was lost.
                elif answer.status not in (200, 201, 204) and (is_first or answer.status != 404):
                    raise make_error(answer, f"'{key}'")

        persist(move)


def _beside(key: str) -> str:
    folder, slash, _ = key.rpartition("/")
    return f"{folder}{slash}{UNFINISHED}{uuid.uuid4().hex}"
