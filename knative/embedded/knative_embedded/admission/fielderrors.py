"""Validation findings with the path of the field, worded and joined as Knative's webhooks do. Pure.

Source: knative.dev/pkg apis/field_error.go. Equal messages are merged with their paths sorted; messages are sorted.
"""

import dataclasses
from typing import Any

CURRENT = ""


@dataclasses.dataclass(frozen=True)
class FieldError:
    """One finding: what is wrong, where, and perhaps more."""

    message: str
    paths: tuple[str, ...]
    details: str = ""


Errors = list[FieldError]


def missing(*paths: str) -> FieldError:
    """A field that must be there."""
    return FieldError("missing field(s)", paths)


def disallowed(*paths: str) -> FieldError:
    """A field that must not be there."""
    return FieldError("must not set the field(s)", paths)


def invalid_value(value: Any, path: str, details: str = "") -> FieldError:
    """A value that cannot be read."""
    return FieldError(f"invalid value: {go_text(value)}", (path,), details)


def out_of_bounds(value: Any, lowest: Any, highest: Any, path: str) -> FieldError:
    """A value outside its range."""
    return FieldError(f"expected {lowest} <= {value} <= {highest}", (path,))


def invalid_key(key: str, path: str, *details: str) -> FieldError:
    """A key that must not be used here."""
    return FieldError(f'invalid key name "{key}"', (path,), ", ".join(details))


def missing_one_of(*paths: str) -> FieldError:
    """None of several fields of which one is needed."""
    return FieldError("expected exactly one, got neither", paths)


def multiple_one_of(*paths: str) -> FieldError:
    """Several fields of which only one is allowed."""
    return FieldError("expected exactly one, got both", paths)


def via(errors: Errors, *prefix: str) -> Errors:
    """The same findings seen from further out: `[0]` is an index or key, everything else a field."""
    return [dataclasses.replace(one, paths=tuple(_join((*prefix, path)) for path in one.paths)) for one in errors]


def _join(parts: tuple[str, ...]) -> str:
    joined = ""
    for part in parts:
        if part == CURRENT:
            continue
        joined += part if not joined or part.startswith("[") else f".{part}"
    return joined


def render(errors: Errors) -> str:
    """All findings as one text."""
    merged: dict[tuple[str, str], set[str]] = {}
    for one in errors:
        merged.setdefault((one.message, one.details), set()).update(one.paths)
    lines = []
    for (message, details), paths in sorted(merged.items()):
        line = f"{message}: {', '.join(sorted(paths))}"
        lines.append(f"{line}\n{details}" if details else line)
    return "\n".join(lines)


def go_text(value: Any) -> str:
    """A value as Go's %v prints it, for the types that occur."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
