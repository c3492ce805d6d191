"""Who prefers to wait is told the outcome as soon as it is there, and never more than is so."""

from concurrent.futures import Future

import pytest

from bigpanda_mlflow.errors import Transient
from bigpanda_mlflow.waiting import wait_for_outcome

PATIENCE = 30.0


def settled(error: Exception | None = None) -> "Future[None]":
    future: Future[None] = Future()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


def test_an_outcome_is_told_before_the_broker_has_confirmed_the_event() -> None:
    open_still: Future[None] = Future()
    found = iter([None, "ready"])
    assert wait_for_outcome(open_still, lambda: next(found), PATIENCE) == "ready"
    assert not open_still.done()


def test_what_the_broker_refuses_ends_the_wait() -> None:
    refused: Future[None] = Future()

    def look() -> None:
        refused.set_exception(Transient("the broker answered 500"))

    with pytest.raises(Transient, match="500"):
        wait_for_outcome(refused, look, PATIENCE)


def test_an_outcome_that_was_there_all_along_does_not_hide_a_refusal() -> None:
    with pytest.raises(Transient, match="500"):
        wait_for_outcome(settled(Transient("the broker answered 500")), lambda: "ready", PATIENCE)


def test_without_an_outcome_in_time_the_broker_has_the_last_word() -> None:
    assert wait_for_outcome(settled(), lambda: None, 0.2) is None
    assert wait_for_outcome(settled(), lambda: "never looked for", 0) is None
    with pytest.raises(Transient, match="500"):
        wait_for_outcome(settled(Transient("the broker answered 500")), lambda: None, 0)
