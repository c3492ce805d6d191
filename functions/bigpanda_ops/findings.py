"""What the doctor says: one finding a check, the first that is wrong ends the walk. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bigpanda_ops.outcomes import ExitCode


class Stage(StrEnum):
    """The way of a task from its event to what a physicist sees, in this order."""

    EVENT = "event"
    INGEST = "ingest"
    SNAPSHOT = "snapshot"
    SERVICE = "service"
    REVISION = "revision"
    WAKE = "wake"
    DATA = "data"


@dataclass(frozen=True)
class Finding:
    """One sentence. With `advice` something is wrong, and that is what to do; without, the check is passed."""

    stage: Stage
    text: str
    advice: str | None = None
    code: ExitCode = ExitCode.OK

    def as_json(self) -> dict[str, str]:
        """For scripts."""
        return {"stage": self.stage.value, "text": self.text, **({"advice": self.advice} if self.advice else {})}


def passed(stage: Stage, text: str) -> Finding:
    """A check that found nothing wrong."""
    return Finding(stage, text)


def wrong(stage: Stage, text: str, advice: str) -> Finding:
    """Something is wrong with the task."""
    return Finding(stage, text, advice, ExitCode.WRONG)


def unreachable(stage: Stage, text: str, advice: str) -> Finding:
    """What would have to be looked at cannot be reached from this machine."""
    return Finding(stage, text, advice, ExitCode.UNREACHABLE)


def until_wrong(findings: Iterable[Finding]) -> Iterable[Finding]:
    """The findings up to and with the first that is wrong; nothing behind it is looked at."""
    for finding in findings:
        yield finding
        if finding.advice is not None:
            return
