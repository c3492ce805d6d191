"""Durations as Go writes them (`1m30s`, in annotations) and as ISO 8601 writes them (`PT0.2S`, in delivery specs).

Both return seconds and raise ValueError, with the value named, for anything else.
Sources: Go's time.ParseDuration; knative/eventing uses rickb777/date/period for ISO 8601.
"""

import re

_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_ISO = re.compile(
    r"(?P<sign>[+-]?)P(?:(?P<years>\d+(?:[.,]\d+)?)Y)?(?:(?P<months>\d+(?:[.,]\d+)?)M)?(?:(?P<weeks>\d+(?:[.,]\d+)?)W)?"
    r"(?:(?P<days>\d+(?:[.,]\d+)?)D)?(?:T(?:(?P<hours>\d+(?:[.,]\d+)?)H)?(?:(?P<minutes>\d+(?:[.,]\d+)?)M)?"
    r"(?:(?P<seconds>\d+(?:[.,]\d+)?)S)?)?"
)
_ISO_SECONDS = {
    "years": 365.2425 * 86400,
    "months": 30.436875 * 86400,
    "weeks": 7 * 86400.0,
    "days": 86400.0,
    "hours": 3600.0,
    "minutes": 60.0,
    "seconds": 1.0,
}


def parse_go_duration(text: str) -> float:
    """Seconds of a Go duration: `6s`, `1h30m`, `-1.5s`, `0`."""
    body = text[1:] if text[:1] in {"+", "-"} else text
    if body == "0":
        return 0.0
    seconds, position = 0.0, 0
    while part := _GO_PART.match(body, position):
        seconds += float(part[1]) * _GO_UNITS[part[2]]
        position = part.end()
    if position == 0 or position != len(body):
        raise ValueError(f"invalid duration {text!r}")
    return -seconds if text.startswith("-") else seconds


def format_go_duration(seconds: float) -> str:
    """As Go prints whole seconds: 6 → `6s`, 3600 → `1h0m0s`."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"


def parse_iso_duration(text: str) -> float:
    """Seconds of an ISO 8601 duration: `PT0.2S`, `PT1M30S`, `P1D`."""
    found = _ISO.fullmatch(text)
    if not found or text.endswith(("P", "T")):
        raise ValueError(f"invalid ISO 8601 duration {text!r}")
    parts = {unit: value for unit, value in found.groupdict().items() if unit != "sign" and value}
    seconds = sum(float(value.replace(",", ".")) * _ISO_SECONDS[unit] for unit, value in parts.items())
    return -seconds if found["sign"] == "-" else seconds
