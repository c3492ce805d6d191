from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.times import format_time, parse_time

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001 (bounds)


@given(MOMENTS)
def test_a_time_survives_and_is_said_in_one_way(moment: datetime) -> None:
    text = format_time(moment)
    assert parse_time(text) == moment
    assert format_time(moment.astimezone(UTC)) == text
    assert text.endswith("Z")


@pytest.mark.parametrize("text", ["", "now", "2026-11-23", "2026-11-23T12:00:00", "12:00Z"])
def test_a_time_without_a_zone_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"zone|isoformat"):
        parse_time(text)
