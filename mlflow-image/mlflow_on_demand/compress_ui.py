"""Compress MLflow's UI into the folder that `ui_pack.py` describes; run when the image is built.

    python -m mlflow_on_demand.compress_ui

MLflow sends its page's scripts as they are, five times what they weigh compressed. The best compression takes half a
minute, so it cannot be had at a wake. The same input makes the same folder, byte for byte, and the folder is there
whole or not at all.
"""

import mimetypes
import os
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow_on_demand.mlflow_facts import ui_dir
from mlflow_on_demand.negotiation import IDENTITY
from mlflow_on_demand.ui_pack import PACK, UiFile, UiPack, open_pack, tag_of, write_index
from mlflow_on_demand.ui_page import PAGE, make_page

# Compressed by their own formats; and what only a debugger, or a lawyer, asks for.
_LEFT_ALONE = frozenset({".gif", ".jpeg", ".jpg", ".map", ".png", ".txt", ".webp", ".woff", ".woff2"})
_GZIP = 31  # zlib's name for its window of 32 KiB in gzip's wrapping, which then holds no time and no name


def compress_ui(target: Path = PACK, quality: int = 11) -> UiPack:
    """Compress the installed MLflow's UI into `target`, in place of what is there; `quality` is brotli's, 0 to 11."""
    source = ui_dir()
    sizes = {path.relative_to(source).as_posix(): path.stat().st_size for path in source.rglob("*") if path.is_file()}
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        new.mkdir(0o755)
        # The largest first, or one core would still be busy with it when the others have nothing left to do.
        names = sorted(sizes, key=lambda name: (-sizes[name], name))
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            files = dict(threads.map(lambda name: (name, _write_forms(source, name, new, quality)), names))
        write_index(new, files)
        if target.exists():
            target.rename(old)
        new.rename(target)
    return open_pack(target)


def main() -> int:
    """Compress into the place where the server of this environment looks."""
    compress_ui()
    for encoding in sorted(path for path in PACK.iterdir() if path.is_dir()):
        weight = sum(path.stat().st_size for path in encoding.rglob("*") if path.is_file())
        print(f"{encoding}: {weight / 1e6:.1f} MB")
    return 0


def _write_forms(source: Path, name: str, folder: Path, quality: int) -> UiFile:
    content = make_page() if name == PAGE else (source / name).read_bytes()
    forms = {IDENTITY: content}
    if (small := _brotli_form(name, content, quality)) is not None:
        forms["br"] = small
    if (small := gzip_form(name, content)) is not None:
        forms["gzip"] = small
    for encoding, form in forms.items():
        if encoding != IDENTITY:
            path = folder / encoding / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(form)
    smallest_first = sorted(forms, key=lambda encoding: len(forms[encoding]))
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return UiFile(media_type, {encoding: tag_of(forms[encoding]) for encoding in smallest_first})


def gzip_form(name: str, content: bytes) -> bytes | None:
    """A file compressed by gzip, as small as that can be; None when that is no smaller, or its format compresses."""
    return _if_smaller(name, content, lambda: zlib.compress(content, 9, wbits=_GZIP))


def _brotli_form(name: str, content: bytes, quality: int) -> bytes | None:
    import brotli  # here, for the image itself does not have it

    return _if_smaller(name, content, lambda: brotli.compress(content, quality=quality))


def _if_smaller(name: str, content: bytes, compress: Callable[[], bytes]) -> bytes | None:
    if Path(name).suffix in _LEFT_ALONE:
        return None
    form = compress()
    return form if len(form) < len(content) else None


if __name__ == "__main__":
    sys.exit(main())
