"""The hashed files of other MLflows' pages, so that a page opened on one Revision goes on when another answers it.

Traffic is split per request: the page may come from a Revision with MLflow 3.17, and the script that it asks for next
be asked of one with 3.18, whose build calls it otherwise. So each release's hashed files lie once in the snapshot
store, where every ingest sees to it (`publish_ui`), and a server serves from there what it does not have itself:

    <snapshot store>/ui/<MLflow version>-<digest of the files' names>.zip

One uncompressed zip, read by byte range like a bundle of artifacts; a file that compression makes smaller lies there
compressed by gzip, with `.gz` behind its name. The names hold the hash of the content, so any file of that name is the
right one, whichever release it is of, and what is found never changes. `ui` is no task's number: whoever tidies the
snapshots of tasks leaves it alone. Packs are kept for good: 10 MB each, and one for each release of MLflow that was
rolled out, some a year. One may be deleted when no Revision has that MLflow and its last open tab is closed.

The alternative is stickiness: the page's cookie names the Revision, and the ingress sends what follows to its tag.
Knative can route by a header (`Knative-Serving-Tag`), not by a cookie, so every ingress would need rules of its own,
and a page that asks a tag's host instead is of another origin, without what the browser keeps for this one. Worse, a
sticky page keeps the old Revision from going, and breaks after all when it went; this one outlives it. What a sticky
page would spare, answers of two releases to one page, does no harm: both read the same runs under the same ids, and
the browser test shows it.
"""

import gzip
import hashlib
import io
import logging
import mimetypes
import tempfile
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from mlflow_on_demand.bundle import Bundle, Spool
from mlflow_on_demand.compress_ui import gzip_form
from mlflow_on_demand.errors import ObjectMissing, OnDemandError
from mlflow_on_demand.mlflow_facts import mlflow_version, ui_dir
from mlflow_on_demand.store import Store
from mlflow_on_demand.stores import open_store
from mlflow_on_demand.ui_pack import UiPack, open_pack
from mlflow_on_demand.ui_replies import is_hashed

_log = logging.getLogger(__name__)

MAX_KEPT_BYTES = 16 * 2**20
"""What a server holds in memory of other releases: more than all that differs between two of them."""

LOOK_EVERY = 5.0
"""Seconds, at least, between two looks for packs that came later: wrong addresses cost the store no more."""

_MAX_PACKS = 12
_COMPRESSED = ".gz"


@dataclass(frozen=True)
class OtherFile:
    """A file's media type, and its bytes, compressed by gzip or as they are."""

    media_type: str
    content: bytes
    is_gzip: bool

    def plain(self) -> bytes:
        """The bytes as MLflow brings them."""
        return gzip.decompress(self.content) if self.is_gzip else self.content


def open_ui_store(snapshot_store: str) -> Store:
    """The store of all packs."""
    return open_store(f"{snapshot_store.rstrip('/')}/ui")


def ui_key() -> str:
    """The installed MLflow's pack."""
    names = "\n".join(_hashed_names())
    return f"{mlflow_version()}-{hashlib.sha256(names.encode()).hexdigest()[:16]}.zip"


def publish_ui(snapshot_store: str, work_dir: Path | None = None) -> bool:
    """See to it that the installed MLflow's pack is in the store; True if it was put there now.

    Scratch files go below `work_dir` (default: TMPDIR). Never fails: what went wrong is logged, and concerns open
    pages during an upgrade only. Two at once write the same bytes.
    """
    try:
        store, key = open_ui_store(snapshot_store), ui_key()
        try:
            store.stat(key)
        except ObjectMissing:
            with (
                tempfile.TemporaryDirectory(prefix="ui-", dir=work_dir) as scratch,
                _make_pack(Path(scratch)).open("rb") as pack,
            ):
                store.write(key, pack)
            _log.info("the files of MLflow's page were published", extra={"mlflow": mlflow_version()})
            return True
    except (OnDemandError, OSError) as error:
        _log.warning("the files of MLflow's page could not be published", extra={"reason": str(error)})
    return False


class OtherUis:
    """Reads other releases' files out of the store; threads may share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock, self._looking = Lock(), Lock()
        self._packs: dict[str, Bundle] = {}
        self._looked: float | None = None
        self._kept: OrderedDict[str, OtherFile] = OrderedDict()

    def read(self, name: str) -> OtherFile | None:
        """The file, or None when no release has it, or none can; OnDemandError when the store does not answer."""
        if not is_hashed(name):
            return None
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        try:
            found = self._find(name)
            if found is None:
                self._look_again()
                found = self._find(name)
        except OnDemandError:
            self._packs, self._looked = {}, None  # whatever was wrong with one: it is opened anew
            raise
        return None if found is None else self._keep(name, found)

    def _find(self, name: str) -> OtherFile | None:
        for pack in self._packs.values():
            for member in (name, f"{name}{_COMPRESSED}"):
                if member in pack.sizes():
                    target = io.BytesIO()
                    pack.copy(member, target)
                    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
                    return OtherFile(media_type, target.getvalue(), member != name)
        return None

    def _look_again(self) -> None:
        """Open the packs that are not known, unless the last look was just now; who comes during one waits for it."""
        with self._looking:
            if self._looked is not None and time.monotonic() < self._looked + LOOK_EVERY:
                return
            newest = sorted(self._store.list(), key=lambda one: one.mtime, reverse=True)[:_MAX_PACKS]
            others = [one for one in newest if one.key.endswith(".zip") and one.key != ui_key()]
            new = {one.key: Bundle(self._store, one.key, one.size) for one in others if one.key not in self._packs}
            self._packs = {**self._packs, **new}
            self._looked = time.monotonic()

    def _keep(self, name: str, file: OtherFile) -> OtherFile:
        with self._lock:
            self._kept[name] = file
            while sum(len(one.content) for one in self._kept.values()) > MAX_KEPT_BYTES:
                self._kept.popitem(last=False)
        return file


def _hashed_names() -> list[str]:
    names = (path.relative_to(ui_dir()).as_posix() for path in ui_dir().rglob("*") if path.is_file())
    return sorted(filter(is_hashed, names))


def _make_pack(folder: Path) -> Path:
    pack, spool = open_pack(), Spool(folder / "spool")
    members = []
    for name in _hashed_names():
        compressed = _compressed(name, pack)
        plain = (ui_dir() / name).read_bytes() if compressed is None else b""
        suffix = "" if compressed is None else _COMPRESSED
        members.append(spool.add(f"{name}{suffix}", io.BytesIO(compressed or plain)))
    spool.write_bundle(folder / "pack.zip", members)
    spool.close()
    return folder / "pack.zip"


def _compressed(name: str, pack: UiPack) -> bytes | None:
    if name in pack.files:
        has = "gzip" in pack.files[name].tags
        return pack.path_of(name, "gzip").read_bytes() if has else None
    return gzip_form(name, (ui_dir() / name).read_bytes())
