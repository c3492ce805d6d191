"""The fields of FileStore's meta.yaml files, read without trust: what is of another type than MLflow's is missing."""

import re
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What MLflow's handlers accept as an id; another one could be stored but never asked for.
ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}", re.ASCII)
# SQLite's.
MAX_INT = 2**63 - 1


def read_mapping(content: bytes) -> dict[Any, Any]:
    """The YAML mapping in these bytes; empty when there is none."""
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
