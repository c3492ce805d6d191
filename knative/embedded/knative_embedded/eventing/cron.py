"""Schedules of PingSources: cron lines with optional seconds, robfig's descriptors, and time zones. Pure.

Source: robfig/cron v3 with the options that knative/eventing passes (SecondOptional, Descriptor).
"""

import datetime as dt
import zoneinfo

from cronsim import CronSim, CronSimError

DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ANY_MOMENT = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def parse_schedule(schedule: str, timezone: str) -> tuple[str, dt.tzinfo]:
    """The cron line and the zone. Raises ValueError for the line, LookupError for the zone."""
    line = DESCRIPTORS.get(schedule.strip(), schedule.strip()).replace("?", "*")
    if line.startswith("@"):
        raise ValueError(f"unrecognized descriptor: {line}")
    try:
        zone = zoneinfo.ZoneInfo(timezone) if timezone else dt.UTC
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise LookupError(f"unknown time zone {timezone}") from None
    fields = line.split()
    if len(fields) not in {5, 6}:
        raise ValueError(f"expected 5 to 6 fields, found {len(fields)}: [{' '.join(fields)}]")
    try:
        CronSim(line, _ANY_MOMENT)
    except CronSimError as error:
        raise ValueError(f"{error}: {schedule}") from None
    return line, zone


def next_tick(schedule: str, timezone: str, after: dt.datetime) -> dt.datetime | None:
    """The first moment after `after`; None when there is none within fifty years."""
    line, zone = parse_schedule(schedule, timezone)
    try:
        found: dt.datetime = next(CronSim(line, after.astimezone(zone)))
    except StopIteration:
        return None
    return found.astimezone(dt.UTC)
