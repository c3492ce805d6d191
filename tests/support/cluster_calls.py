"""Which of the cluster's API a function's code can reach, read from the source: what its Role must allow, and no more.

A walk along the names: from the handler that an entry point imports, through its module and `Context`, to the methods
of `Cluster` and the Kubernetes client's calls in them. A branch that is never taken counts as reached.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FUNCTIONS = Path(__file__).parents[2] / "functions"
_PACKAGE = FUNCTIONS / "bigpanda_mlflow"
_ENTRIES = ("handlers", "frontdoor", "retaining")
_VERBS = {"read": "get", "get": "get", "list": "list", "create": "create", "replace": "update", "delete": "delete"}
_RESOURCES = {"custom_object": ("serving.knative.dev", "services"), "config_map": ("", "configmaps")}

Definitions = dict[str, list[ast.AST]]


class Call(NamedTuple):
    """One right."""

    group: str
    resource: str
    verb: str


def calls_of(function: str) -> set[Call]:
    """All that the entry point `functions/<function>.py` may call."""
    methods: set[str] = set()
    for module, name in _imports(function):
        methods |= _reached(_definitions(module), name, ("context", "cluster"))
    context = _definitions("context")
    for name in [name for name in methods if name in context]:
        methods |= _reached(context, name, ("cluster",))
    cluster = _definitions("cluster")
    requests = {call for name in methods for call in _reached(cluster, name, ("_custom", "_core"))}
    return {_call(name) for name in requests}


def posts(function: str) -> bool:
    """Whether the entry point's code can post to the broker by itself."""
    return any(
        node.id in {"send", "forward"}
        for module, name in _imports(function)
        for node in _named(_definitions(module), name)
        if isinstance(node, ast.Name)
    )


def _imports(function: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse((FUNCTIONS / f"{function}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and (module := (node.module or "").rpartition(".")[2]) in _ENTRIES:
            yield from ((module, alias.name) for alias in node.names)


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


def _reached(defined: Definitions, start: str, owners: tuple[str, ...]) -> set[str]:
    """Attributes of any `….<owner>` that are used by `start` and by all of its module that it names."""
    return {
        node.attr
        for node in _named(defined, start)
        if isinstance(node, ast.Attribute) and _last_name(node.value) in owners
    }


def _named(defined: Definitions, start: str) -> Iterator[ast.AST]:
    """All that stands in `start` and in what it names of its module, and so on."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in (inner for one in defined.get(name, []) for inner in ast.walk(one)):
            yield node
            if isinstance(node, ast.Name):
                waiting.append(node.id)
            elif isinstance(node, ast.Attribute) and _last_name(node.value) == "self":
                waiting.append(node.attr)


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _call(name: str) -> Call:
    verb, _, resource = name.partition("_namespaced_")
    return Call(*_RESOURCES[resource], _VERBS[verb])
