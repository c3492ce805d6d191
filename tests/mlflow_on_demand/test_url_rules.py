"""Routes that compile late what builds their URLs answer and build as any others."""

import pytest
from flask import Flask
from werkzeug.routing import MapAdapter

from mlflow_on_demand.url_rules import build_urls_late

ROUTES = ["/", "/runs/<run>", "/files/<path:path>", "/pages/<int:number>"]


@pytest.fixture
def plain_and_late(monkeypatch: pytest.MonkeyPatch) -> tuple[Flask, Flask]:
    monkeypatch.setattr(Flask, "url_rule_class", Flask.url_rule_class)  # put back afterwards
    plain = _make_app()
    build_urls_late()
    return plain, _make_app()


def _make_app() -> Flask:
    app = Flask("page")
    for route in ROUTES:
        app.add_url_rule(route, route, str)
    return app


def _map(app: Flask) -> MapAdapter:
    return app.url_map.bind("localhost")


@pytest.mark.parametrize("path", ["/", "/runs/a%20b", "/files/plots/loss.png", "/pages/7"])
def test_a_request_finds_its_route(plain_and_late: tuple[Flask, Flask], path: str) -> None:
    plain, late = plain_and_late
    assert _map(late).match(path) == _map(plain).match(path)


@pytest.mark.parametrize(
    ("route", "values"),
    [
        ("/", {}),
        ("/runs/<run>", {"run": "a b"}),
        ("/runs/<run>", {"run": "a", "page": 2}),
        ("/files/<path:path>", {"path": "plots/ü.png"}),
        ("/pages/<int:number>", {"number": 7}),
    ],
)
def test_a_url_is_the_same(plain_and_late: tuple[Flask, Flask], route: str, values: dict[str, object]) -> None:
    plain, late = plain_and_late
    assert _map(late).build(route, values) == _map(plain).build(route, values)


def test_nothing_is_compiled_before_it_is_needed(plain_and_late: tuple[Flask, Flask]) -> None:
    _, late = plain_and_late
    for rule in late.url_map.iter_rules():
        assert rule._build.__code__.co_filename != "<werkzeug routing>"
        assert rule._build_unknown.__code__.co_filename != "<werkzeug routing>"
