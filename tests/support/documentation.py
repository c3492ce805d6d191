"""The parts of README that are made from code, so they cannot drift: `make docs` writes them, a test compares them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bigpanda_mlflow.events import DATA_MODELS, EventType
from bigpanda_mlflow.settings import settings_table

README = Path(__file__).parents[2] / "README.md"
INCOMING = (
    *(EventType.VISUALIZE, EventType.RESULTS, EventType.RELEASE),
    *(EventType.IMAGE_PUBLISHED, EventType.ROLLOUT_COMMAND),
)


def events_table() -> str:
    """One row a type, its data's fields in order; `?` marks what may be left out."""
    rows = ["| type | direction | data |", "|---|---|---|"]
    for kind, model in DATA_MODELS.items():
        fields = model.model_json_schema()["properties"]
        names = (
            f"`{name}`{'' if model.model_fields[name].is_required() else '?'}{_note(fields[name])}" for name in fields
        )
        rows.append(f"| `{kind.value}` | {'in' if kind in INCOMING else 'out'} | {'; '.join(names)} |")
    return "\n".join(rows)


def _note(schema: dict[str, Any]) -> str:
    description = schema.get("description")
    return f": {description}" if description else ""


def settings_rows() -> str:
    """One row a variable."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    rows += [f"| `{variable}` | {default} | {meaning} |" for variable, default, meaning in settings_table()]
    return "\n".join(rows)


SECTIONS: dict[str, Callable[[], str]] = {"events": events_table, "settings": settings_rows}


def render(text: str) -> str:
    """The text with each made section as the code says now."""
    for name, make in SECTIONS.items():
        before, opening, rest = re.split(rf"(<!-- {name}\b[^>]*-->\n)", text, maxsplit=1)
        _, closing, after = re.split(rf"(<!-- /{name} -->)", rest, maxsplit=1)
        text = f"{before}{opening}{make()}\n{closing}{after}"
    return text


if __name__ == "__main__":
    README.write_text(render(README.read_text()))
