"""The fields of FileStore's meta.yaml files, read without trust: what is of another type than MLflow's is missing."""

import json
import re
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What MLflow's handlers accept as an id; another one could be stored but never asked for.
ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}", re.ASCII)
# SQLite's.
MAX_INT = 2**63 - 1

# A line as MLflow writes nearly all: a key with what JSON writes like YAML, a quoted text, or one that YAML takes for
# nothing else (it is no number, and none of the words).
_LINE = re.compile(
    r"""([a-z_]+):\ (?:
        (-?[1-9][0-9]{0,17}|0|null|\[\]|\{\})
        |'([\ -&(-~]*)'
        |(
            (?!(?i:yes|no|on|off|true|false|null)\n)[A-Za-z/][\w./-]*(?:://[\w./-]*)?(?:\ \w[\w./-]*)*
            |(?!0b)[0-9]+[a-f][0-9a-f]*
        )
    )\n""",
    re.ASCII | re.VERBOSE,
)


def read_mapping(content: bytes) -> dict[Any, Any]:
    """The YAML mapping in these bytes; empty when there is none."""
    plain = _read_plain(content.decode("ascii", errors="replace"))
    return _read_yaml(content) if plain is None else plain


def _read_plain(text: str) -> dict[Any, Any] | None:
    """A mapping of such lines only, in a fifth of the time that a YAML parser takes."""
    meta: dict[Any, Any] = {}
    at = 0
    while (line := _LINE.match(text, at)) is not None:
        key, plain, quoted, word = line.groups()
        meta[key] = json.loads(plain) if plain else quoted if quoted is not None else word
        at = line.end()
    return meta if at == len(text) else None


def _read_yaml(content: bytes) -> dict[Any, Any]:
    try:
        meta = yaml.load(content, Loader=_LOADER)  # noqa: S506 (a safe loader, in C where it was built)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return meta if isinstance(meta, dict) else {}


def to_text(value: object) -> str | None:
    """The value if it is a text."""
    return value if isinstance(value, str) else None


def to_integer(value: object) -> int | None:
    """The value if it is an integer that SQLite can hold."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INT else None


def one_of(value: object, known: frozenset[str], otherwise: str) -> str:
    """The value if it is one of these texts."""
    return value if isinstance(value, str) and value in known else otherwise
