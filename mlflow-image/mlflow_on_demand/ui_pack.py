"""The folder of MLflow's UI in compressed forms: made once, when the image is built, and read by every wake.

    <environment>/share/mlflow-ui/
      index.json            each file's media type, and the tag (a digest) of each form that it has, smallest first
      br/…  gzip/…          those forms, under the files' own names; `index.html` there is the page with our script

Nothing is compressed, hashed or looked for at a wake but the page, whose tag tells that the folder was made from this
MLflow and this script. Without the folder, as on a laptop, every file has the one form in which MLflow brings it.
"""

import hashlib
import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlflow_on_demand.negotiation import IDENTITY
from mlflow_on_demand.ui_page import PAGE, make_page

PACK = Path(sys.prefix) / "share" / "mlflow-ui"

_INDEX = "index.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UiFile:
    """A file's media type, and the tag of each form that it has by encoding, smallest form first."""

    media_type: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class UiPack:
    """What is known of the page and of each file, by its path in MLflow's UI; the forms lie in `folder`."""

    folder: Path
    page: UiFile
    files: Mapping[str, UiFile] = field(default_factory=dict)

    def path_of(self, name: str, encoding: str) -> Path:
        """Where a compressed form lies."""
        return self.folder / encoding / name


def tag_of(content: bytes) -> str:
    """A strong validator: the same for the same bytes only."""
    return hashlib.sha256(content).hexdigest()[:32]


def open_pack(folder: Path = PACK) -> UiPack:
    """The pack in a folder; when there is none, or another MLflow's, one that knows the page alone, uncompressed."""
    plain = UiPack(folder, UiFile("text/html", {IDENTITY: tag_of(make_page())}))
    try:
        index = json.loads((folder / _INDEX).read_bytes())
    except FileNotFoundError:
        return plain
    files = {name: UiFile(media_type, tags) for name, (media_type, tags) in index.items()}
    page = files.pop(PAGE)
    if page.tags[IDENTITY] != plain.page.tags[IDENTITY]:
        _log.warning("%s was not made from this MLflow: its files are served uncompressed", folder)
        return plain
    return UiPack(folder, page, files)


def write_index(folder: Path, files: Mapping[str, UiFile]) -> None:
    """Write down what `open_pack` reads; `files` contains the page."""
    index = {name: (file.media_type, dict(file.tags)) for name, file in sorted(files.items())}
    (folder / _INDEX).write_text(json.dumps(index, separators=(",", ":")), encoding="utf-8")
