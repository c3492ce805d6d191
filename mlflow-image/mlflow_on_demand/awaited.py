"""Until when a task's tarballs are awaited: one rule for `sweep`, which looks for them, and for a page that is open.

PanDA tells this project nothing of a task's end, so a task counts as finished when every point that it was to evaluate
has left a tarball that could be read, or when nothing new has come for as long as the deployment is patient. Whatever
comes later is still ingested and shown; only nobody asks for it any more. Pure, and light to import.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Awaited:
    """How many `points` a task was to evaluate (None: nobody said), when its page was last `asked` for (in seconds
    since 1970), and how many seconds of `patience` there are after that, or after the last snapshot.
    """

    points: int | None
    asked: int
    patience: int

    def finished_at(self, tarballs: int, lost: int, published: int) -> int:
        """From when on the task counts as finished, in seconds since 1970, if the snapshot of so many tarballs, so many
        of them lost, was published then (0, 0, 0: there is none). 0 is "it does already".
        """
        if self.points is not None and tarballs >= self.points and not lost:
            return 0
        return max(self.asked, published) + self.patience
