"""Ages as kubectl prints them: `45s`, `5m12s`, `3h7m`, `2d`, `1y20d`.

Source of the steps: k8s.io/apimachinery pkg/util/duration/duration.go (HumanDuration).
"""

import datetime as dt


def since(text: str, now: dt.datetime) -> str:
    """The time since an RFC 3339 timestamp, `<unknown>` when it cannot be read."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return "<unknown>"
    return human(int((now - moment).total_seconds()))


def human(seconds: int) -> str:
    """A duration with one or two units, more precise when it is short."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    steps: list[tuple[bool, str]] = [
        (seconds < -1, "<invalid>"),
        (seconds < 0, "0s"),
        (seconds < 120, f"{seconds}s"),
        (minutes < 10, _two(minutes, "m", seconds % 60, "s")),
        (minutes < 180, f"{minutes}m"),
        (hours < 8, _two(hours, "h", minutes % 60, "m")),
        (hours < 48, f"{hours}h"),
        (hours < 192, _two(days, "d", hours % 24, "h")),
        (days < 730, f"{days}d"),
        (days < 2920, _two(days // 365, "y", days % 365, "d")),
    ]
    return next((text for applies, text in steps if applies), f"{days // 365}y")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"
