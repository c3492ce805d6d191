import pytest

from mlflow_on_demand.negotiation import choose_encoding

OFFERED = ("br", "gzip", "identity")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("deflate", "identity"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("br;q=0.5, gzip", "gzip"),
        ("br ; q=0.9 , gzip ;q=0.8", "br"),
        ("gzip;q=0.001", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0", "identity"),
        ("br;q=0.000, gzip;q=0", "identity"),
        ("identity, br;q=0.5", "identity"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("gzip, *;q=0", "gzip"),
        ("identity;q=1, *;q=0", "identity"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity;q=0, deflate", None),
        ("*;q=0", None),
        ("gzip;q=2", "identity"),
        ("gzip;q=1.1, br;q=, identity;level=9", "identity"),
        (",, ;q=1, gzip", "gzip"),
    ],
)
def test_a_client_gets_what_it_likes_best(accept: str | None, chosen: str | None) -> None:
    assert choose_encoding(accept, OFFERED) == chosen


def test_what_has_one_form_comes_in_that_or_not_at_all() -> None:
    assert choose_encoding("br, gzip", ("identity",)) == "identity"
    assert choose_encoding("br, identity;q=0", ("identity",)) is None


def test_of_forms_liked_equally_the_first_is_taken() -> None:
    assert choose_encoding("br, gzip", ("gzip", "br", "identity")) == "gzip"
