"""Reading on, by answers that are chosen: how often it is tried, and what no server should do."""

from io import BytesIO

import pytest

from mlflow_on_demand.errors import ObjectChanged, StoreUnavailable
from mlflow_on_demand.store import CHUNK
from mlflow_on_demand.transfer import Part, Patience, open_object, persist, read_object

CONTENT = bytes(range(256)) * (CHUNK // 64)  # four times as much as is asked for at once
AT_ONCE = Patience(attempts=3, first_pause=0)


class Answers:
    """Answers that bring so many bytes and then break off; what was asked for is kept."""

    def __init__(self, brings: int, etag: str = "e", gap: int = 0) -> None:
        self.brings, self.etag, self.gap = brings, etag, gap
        self.asked: list[int] = []

    def __call__(self, start: int, length: int | None, etag: str | None) -> Part:
        self.asked.append(start)
        begins = start + self.gap
        body = BytesIO(CONTENT[begins : begins + self.brings])
        return Part(body.read, body.close, begins, len(CONTENT), self.etag)


def test_patience_begins_anew_with_what_came() -> None:
    answers = Answers(brings=CHUNK)
    assert read_object("x", answers, 0, None, AT_ONCE) == CONTENT
    assert answers.asked == [0, CHUNK, 2 * CHUNK, 3 * CHUNK]


def test_a_trickle_is_no_progress() -> None:
    answers = Answers(brings=10)
    with pytest.raises(StoreUnavailable, match="broke off in 'x'"):
        read_object("x", answers, 0, None, AT_ONCE)
    assert answers.asked == [0, 10, 20]


def test_without_an_etag_nothing_is_gone_on_with() -> None:
    answers = Answers(brings=10, etag="")
    with pytest.raises(StoreUnavailable, match="broke off"):
        read_object("x", answers, 0, None, AT_ONCE)
    assert answers.asked == [0]


def test_bytes_that_nobody_asked_for_are_not_taken() -> None:
    with pytest.raises(StoreUnavailable, match="gave other bytes of 'x' than it was asked for"):
        read_object("x", Answers(brings=10, gap=5), 0, None, AT_ONCE)


def test_another_etag_is_another_object() -> None:
    answers = Answers(brings=CHUNK)
    with open_object("x", answers, patience=AT_ONCE) as stream:
        assert stream.read(10) == CONTENT[:10]
        answers.etag = "other"
        with pytest.raises(ObjectChanged):
            stream.read()


def test_a_request_is_tried_so_often_and_what_does_not_pass_only_once() -> None:
    for kind, times in ((StoreUnavailable, 3), (ObjectChanged, 1)):
        tried: list[int] = []

        def action(kind: type[Exception] = kind, tried: list[int] = tried) -> None:
            tried.append(0)
            raise kind("no")

        with pytest.raises(kind, match="no"):
            persist(action, patience=AT_ONCE)
        assert len(tried) == times


def test_pauses_grow_and_end() -> None:
    patience = Patience(first_pause=1, longest_pause=5)
    for failures, whole in ((1, 1), (2, 2), (3, 4), (4, 5), (50, 5)):
        assert whole / 2 <= patience.pause_after(failures) <= whole
