"""What a command prints: tables and sentences for people, JSON for scripts, results on standard output only.

Colour and moving bars are for terminals: rich leaves them out in a pipe and under NO_COLOR.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_COLUMNS = 200
"""Without a terminal there is no edge at which a line must break."""


@cache
def stdout() -> "Console":
    """Where results go."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def say(text: str, style: str = "") -> None:
    """One line of a result; `text` is not read as markup."""
    stdout().print(text, style=style or None, markup=False)


def complain(text: str) -> None:
    """A sentence on standard error."""
    print(f"bigpanda-mlflow: {text}", file=sys.stderr)


def print_json(value: object) -> None:
    """One JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_json_line(value: object) -> None:
    """One JSON document of a stream, at once."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns under headings."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell, no_wrap=True, overflow="fold") for cell in row))
    stdout().print(table)
