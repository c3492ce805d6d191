"""README is true: what is made from code equals the code, and every command it names exists."""

import re
from pathlib import Path

from support.documentation import README, SECTIONS, render

ROOT = README.parent


def test_the_made_sections_are_those_of_the_code() -> None:
    text = README.read_text()
    assert all(f"<!-- /{name} -->" in text for name in SECTIONS)
    assert render(text) == text, "run make docs"


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z0-9-]+)", README.read_text())) <= targets


def test_every_folder_that_is_named_exists() -> None:
    named = re.findall(r"`((?:functions|mlflow-image|knative|tests)/[\w/-]*)`", README.read_text())
    assert named
    assert [path for path in named if not Path(ROOT / path).exists()] == []
