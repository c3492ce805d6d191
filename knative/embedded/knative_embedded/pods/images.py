"""The image file: what each image name stands for on this machine.

A container image cannot run here, so a TOML file says of each name what an OCI image configuration would: entry point,
command, working directory, environment. Promise: a file that cannot be used is refused at start, naming the entry.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class ImageFileError(Exception):
    """The image file cannot be read or used."""


@dataclasses.dataclass(frozen=True)
class Image:
    """What an image's configuration says."""

    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...] = ()
    workdir: Path | None = None
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)


_FIELDS = {"entrypoint", "cmd", "workdir", "env"}


def load_images(path: Path) -> dict[str, Image]:
    """The images of a TOML file, by name. Raises ImageFileError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ImageFileError(f"{path}: {error}") from None
    return {name: _parse_image(path, name, table) for name, table in tables.items()}


def _parse_image(path: Path, name: str, table: Any) -> Image:
    where = f'{path}: ["{name}"]'
    if not isinstance(table, dict) or table.keys() - _FIELDS:
        raise ImageFileError(f"{where} takes the keys {', '.join(sorted(_FIELDS))}")
    entrypoint, cmd = table.get("entrypoint", []), table.get("cmd", [])
    workdir, env = table.get("workdir"), table.get("env", {})
    for field, value in (("entrypoint", entrypoint), ("cmd", cmd)):
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ImageFileError(f"{where}: {field} is a list of texts")
    if not entrypoint and not cmd:
        raise ImageFileError(f"{where} needs an entrypoint or a cmd")
    if not isinstance(env, dict) or not all(isinstance(one, str) for one in env.values()):
        raise ImageFileError(f"{where}: env maps names to texts")
    if workdir is not None and not isinstance(workdir, str):
        raise ImageFileError(f"{where}: workdir is a text")
    resolved = (path.parent / workdir).resolve() if workdir else None
    if resolved is not None and not resolved.is_dir():
        raise ImageFileError(f"{where}: workdir {resolved} is no folder")
    return Image(tuple(entrypoint), tuple(cmd), resolved, env)


def strip_reference(reference: str) -> str:
    """An image reference without digest and tag: `host:5000/a/b:1@sha256:…` → `host:5000/a/b`."""
    name = reference.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return head + slash + tail.partition(":")[0]


def find_image(images: Mapping[str, Image], reference: str) -> Image | None:
    """The image of a reference: the exact text, or the entry that is its longest tail of path components."""
    if reference in images:
        return images[reference]
    parts = strip_reference(reference).split("/")
    for start in range(len(parts)):
        if found := images.get("/".join(parts[start:])):
            return found
    return None
