"""Times as they cross a border: RFC 3339 in UTC, to the microsecond, so that equal times are equal strings."""

from datetime import UTC, datetime


def format_time(moment: datetime) -> str:
    """RFC 3339 with `Z`, for annotations, events and people. Takes aware datetimes only."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def format_micro_time(moment: datetime) -> str:
    """As Kubernetes' MicroTime demands, always with six digits of a second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def parse_time(text: str) -> datetime:
    """The inverse of `format_time`; also takes other offsets. Raises ValueError for anything else, and for naive
    times.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)
