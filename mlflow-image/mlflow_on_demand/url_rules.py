"""Routes for an application that answers requests and writes hardly a URL: what would write one is made when it must.

For each of MLflow's four hundred routes Werkzeug compiles two functions that build a URL of it: a seventh of the work
that stands between the start of a wake and MLflow's first answer, for functions of which nobody calls one.
"""

from collections.abc import Callable

Build = Callable[..., tuple[str, str]]


def build_urls_late() -> None:
    """From now on, Flask's applications compile what builds a route's URL when that is first asked for."""
    from flask import Flask
    from werkzeug.routing import Rule

    class LateRule(Rule):
        """Matches as any rule does."""

        def _compile_builder(self, append_unknown: bool = True) -> Build:  # noqa: FBT001, FBT002 (Werkzeug's signature)
            compile_now = super()._compile_builder

            def build(rule: Rule, **values: object) -> tuple[str, str]:
                # Werkzeug makes a method of what it gets here.
                return compile_now(append_unknown)(rule, **values)

            return build

    Flask.url_rule_class = LateRule
