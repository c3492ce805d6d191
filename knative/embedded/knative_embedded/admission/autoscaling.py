"""Validation of autoscaling annotations, and the scale that they ask for. Pure.

Source: knative/serving pkg/apis/autoscaling/annotation_validation.go.
"""

import dataclasses
import re

from knative_embedded import labels
from knative_embedded.admission.fielderrors import Errors, FieldError, invalid_value, out_of_bounds
from knative_embedded.durations import format_go_duration, parse_go_duration

WINDOW_MIN, WINDOW_MAX, WINDOW_DEFAULT = 6.0, 3600.0, 60.0
TARGET_MIN = 0.01
_METRICS = ("concurrency", "rps")
INT32_MAX = 2**31 - 1
_INTEGER = re.compile(r"[+-]?\d+")


@dataclasses.dataclass(frozen=True)
class Scale:
    """What a Revision's annotations ask of its pods; durations in seconds."""

    minimum: int = 0
    initial: int = 1
    window: float = WINDOW_DEFAULT
    retention: float = 0.0


def parse_scale(annotations: dict[str, str]) -> Scale:
    """The scale of annotations that passed validation."""
    minimum = labels.first(annotations, labels.MIN_SCALE)
    initial = labels.first(annotations, labels.INITIAL_SCALE)
    window = labels.first(annotations, labels.WINDOW)
    retention = labels.first(annotations, labels.RETENTION)
    return Scale(
        minimum=int(minimum[1]) if minimum else 0,
        initial=int(initial[1]) if initial else 1,
        window=parse_go_duration(window[1]) if window else WINDOW_DEFAULT,
        retention=parse_go_duration(retention[1]) if retention else 0.0,
    )


def validate_annotations(annotations: dict[str, str]) -> Errors:
    """All findings about the autoscaling annotations of a template."""
    found: Errors = []
    scales: dict[tuple[str, ...], int] = {}
    for keys in (labels.MIN_SCALE, labels.MAX_SCALE):
        number, errors = _parse_count(annotations, keys)
        scales[keys] = number
        found += errors
    minimum, maximum = scales[labels.MIN_SCALE], scales[labels.MAX_SCALE]
    if maximum != 0 and maximum < minimum:
        message = f"max-scale={maximum} is less than min-scale={minimum}"
        found.append(FieldError(message, (labels.MAX_SCALE[0], labels.MIN_SCALE[0])))
    found += _validate_target(annotations)
    found += _validate_duration(annotations, labels.WINDOW, WINDOW_MIN, whole_seconds=True)
    found += _validate_duration(annotations, labels.RETENTION, 0, whole_seconds=False)
    return found + _validate_initial(annotations)


def _parse_count(annotations: dict[str, str], keys: tuple[str, ...]) -> tuple[int, Errors]:
    given = labels.first(annotations, keys)
    if not given:
        return 0, []
    key, value = given
    if not _INTEGER.fullmatch(value):
        return 0, [invalid_value(value, key)]
    if not 0 <= int(value) <= INT32_MAX:
        return 0, [out_of_bounds(value, 0, INT32_MAX, key)]
    return int(value), []


def _validate_target(annotations: dict[str, str]) -> Errors:
    found: Errors = []
    if given := labels.first(annotations, labels.TARGET):
        key, value = given
        try:
            if float(value) < TARGET_MIN:
                found.append(FieldError(f"target {value} should be at least {TARGET_MIN}", (key,)))
        except ValueError:
            found.append(invalid_value(value, key))
    metric = annotations.get(labels.METRIC)
    if metric is not None and metric not in _METRICS:
        found.append(invalid_value(metric, labels.METRIC))
    return found


def _validate_duration(
    annotations: dict[str, str], keys: tuple[str, ...], least: float, *, whole_seconds: bool
) -> Errors:
    given = labels.first(annotations, keys)
    if not given:
        return []
    key, value = given
    try:
        seconds = parse_go_duration(value)
    except ValueError:
        return [invalid_value(value, key)]
    if not least <= seconds <= WINDOW_MAX:
        return [out_of_bounds(value, format_go_duration(least), format_go_duration(WINDOW_MAX), key)]
    if whole_seconds and seconds != int(seconds):
        return [FieldError("must be specified with at most second precision", (key,))]
    return []


def _validate_initial(annotations: dict[str, str]) -> Errors:
    given = labels.first(annotations, labels.INITIAL_SCALE)
    if not given:
        return []
    key, value = given
    if not _INTEGER.fullmatch(value):
        return [invalid_value(value, key)]
    if int(value) < 0:
        return [invalid_value(value, f"{key} must be greater than 0")]
    return []
