import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.fields import read_mapping

# What YAML reads in other ways than it looks, beside what MLflow writes.
# fmt: off
VALUES = [
    "yes", "Yes", "nO", "y", "n", "null", "Null", "nUll", "~", "0", "-0", "1", "-12", "+1", "1_000", "017", "0o7",
    "0x1f", "0b1", "0b01a", "00b1", "1e5", "0e1", "1.5", ".5", "1e+5", "12:30", "2020-01-01", "123456789012345678",
    "1234567890123456789012", "12ab", "9f", "0bf", "1b0", "1a:", ".inf", "inf", ".nan", "NaN", "on", "off", "TRUE",
    "true1", "abc", "A", "_x", "a-", "a.", "/", "/x/y", "file:///a/b", "a:b", "''", "'x'", "'it''s'", "'a\\b'", '"q"',
    "[]", "{}", "[1]", "{a:", "=", "<<", "-", "--", "---", "...", "*", "*a", "&a", "|", ">", "%", "@", "`", "?",
    "a,b", "a]", "Python Application", "a - b", "no x", "x no", "x  y", " x", "x ", "a b:", "a: b", "a #b", "' x '",
    "& a b", "",
]
# fmt: on
LINES = st.tuples(st.sampled_from(["run_id", "status", "x_y", "tags"]), st.sampled_from(VALUES))


def parsed(text: str) -> object:
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@pytest.mark.parametrize("value", VALUES)
def test_each_value_is_what_yaml_takes_it_for(value: str) -> None:
    assert repr(read_mapping(f"a: {value}\n".encode())) == repr(parsed(f"a: {value}\n"))


@given(st.lists(LINES), st.booleans())
def test_lines_are_what_yaml_takes_them_for(lines: list[tuple[str, str]], is_cut: bool) -> None:
    text = "".join(f"{key}: {value}\n" for key, value in lines)[: -1 if is_cut else None]
    assert repr(read_mapping(text.encode())) == repr(parsed(text))


@pytest.mark.parametrize(
    "text", ["a: 1\r\nb: x\n", "a:\n- x\n- y\n", "a:\n  b: 1\n", "# x\na: 1\n", "a: grün\n", "- a\n"]
)
def test_other_lines_are_read_too(text: str) -> None:
    assert read_mapping(text.encode()) == parsed(text)
