"""Imports that happen when a name is first used, for a package that was not written so: most of MLflow no page needs.

Python 3.15 has them (PEP 810) and lets a program switch them on from outside. An older Python imports all at once:
slower, and otherwise the same. Light to import.
"""

import sys
from collections.abc import Callable

Filter = Callable[[str, str, tuple[str, ...] | None], bool]


def import_lazily(package: str, *, eager: str) -> None:
    """From now on the imports written at the top of this package's modules wait until their names are used.

    Not those of `eager`, a package of modules that register themselves when they are imported. Holds for the whole
    process: what was deferred may be imported at any time, by any thread.
    """
    if sys.version_info >= (3, 15):
        sys.set_lazy_imports_filter(make_filter(package, eager))
        sys.set_lazy_imports("all")


def make_filter(package: str, eager: str) -> Filter:
    """The rule in the form that Python asks it: who imports what, and which names from it."""

    def may_wait(importing: str, imported: str, names: tuple[str, ...] | None) -> bool:
        taken = {imported, *(f"{imported}.{name}" for name in names or ())}
        return _is_in(package, importing) and not any(_is_in(eager, module) for module in (importing, *taken))

    return may_wait


def _is_in(package: str, module: str) -> bool:
    return module == package or module.startswith(f"{package}.")
