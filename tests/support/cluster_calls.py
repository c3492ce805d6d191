"""Which of the cluster's API a function's code can reach, read from the source: what its Role must allow, and no more.

A walk along the names: from the handler that an entry point imports, through the modules that it uses and `Context`, to
the methods of `Cluster` and `Fleet`, and the Kubernetes client's calls in them. A branch that is never taken counts as
reached, and a class that is named counts as a whole.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

FUNCTIONS = Path(__file__).parents[2] / "functions"
_PACKAGE = FUNCTIONS / "bigpanda_mlflow"
_ENTRIES = ("handlers", "rollout_handlers", "frontdoor", "retaining")
_OWN_WALK = ("context", "cluster", "cluster_fleet")
"""Modules whose classes are handed around: what counts is which of their methods are called."""
_VERBS = {"read": "get", "get": "get", "list": "list", "create": "create", "replace": "update", "delete": "delete"}
_RESOURCES = {
    "_custom": ("serving.knative.dev", "services"),
    "_core": ("", "configmaps"),
    "_revisions": ("serving.knative.dev", "revisions"),
    "_leases": ("coordination.k8s.io", "leases"),
}

Definitions = dict[str, list[ast.AST]]
Place = tuple[str, str]
"""A module and a name in it."""


class Call(NamedTuple):
    """One right."""

    group: str
    resource: str
    verb: str


def calls_of(function: str) -> set[Call]:
    """All that the entry point `functions/<function>.py` may call."""
    used: set[str] = set()
    for place in _imports(function):
        used |= {attribute for _, attribute in _reached(place, ("context", "cluster", "fleet", "_fleet"))}
    for name in [name for name in used if name in _definitions("context")]:
        used |= {attribute for _, attribute in _reached(("context", name), ("cluster",))}
    return {
        _call(owner, request)
        for module in ("cluster", "cluster_fleet")
        for name in used
        for owner, request in _reached((module, name), tuple(_RESOURCES))
    }


def posts(function: str) -> bool:
    """Whether the entry point's code can post to the broker by itself."""
    return any(
        node.id in {"send", "forward"}
        for place in _imports(function)
        for node in _named(place)
        if isinstance(node, ast.Name)
    )


def _imports(function: str) -> Iterator[Place]:
    for node in ast.walk(ast.parse((FUNCTIONS / f"{function}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and (module := (node.module or "").rpartition(".")[2]) in _ENTRIES:
            yield from ((module, alias.name) for alias in node.names)


@cache
def _definitions(module: str) -> Definitions:
    # Classes and their methods side by side; a nested function is part of the one around it.
    found: Definitions = {}
    waiting: list[ast.stmt] = list(ast.parse((_PACKAGE / f"{module}.py").read_text()).body)
    for node in waiting:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.setdefault(node.name, []).append(node)
        if isinstance(node, ast.ClassDef):
            waiting.extend(node.body)
    return found


@cache
def _imported(module: str) -> dict[str, Place]:
    """What a module has from others of the package: names, and whole modules with an empty name."""
    found: dict[str, Place] = {}
    for node in ast.walk(ast.parse((_PACKAGE / f"{module}.py").read_text())):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("bigpanda_mlflow"):
            continue
        _, _, source = (node.module or "").partition(".")
        for alias in node.names:
            found[alias.asname or alias.name] = (source, alias.name) if source else (alias.name, "")
    return {name: place for name, place in found.items() if place[0] not in _OWN_WALK}


def _reached(start: Place, owners: tuple[str, ...]) -> set[tuple[str, str]]:
    """Attributes of any `….<owner>` that are used by `start` and by all of the package that it names."""
    return {
        (_last_name(node.value), node.attr)
        for node in _named(start)
        if isinstance(node, ast.Attribute) and _last_name(node.value) in owners
    }


def _named(start: Place) -> Iterator[ast.AST]:
    """All that stands in `start` and in what it names, and so on."""
    seen: set[Place] = set()
    waiting = [start]
    while waiting:
        module, name = waiting.pop()
        if (module, name) in seen:
            continue
        seen.add((module, name))
        for node in (inner for one in _definitions(module).get(name, []) for inner in ast.walk(one)):
            yield node
            if isinstance(node, ast.Name):
                waiting.append(_imported(module).get(node.id, (module, node.id)))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = _imported(module).get(node.value.id)
                waiting.append((owner[0] if owner and not owner[1] else module, node.attr))


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _call(owner: str, request: str) -> Call:
    return Call(*_RESOURCES[owner], _VERBS[request.partition("_namespaced_")[0]])
