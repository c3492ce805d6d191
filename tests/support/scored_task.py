"""A small task whose runs are known by how well they did, of one segment or several."""

from pathlib import Path

from mlflow_on_demand.ingest import IngestRequest, ingest_task
from mlflow_on_demand.snapshot import Manifest, Objective
from support.hpo_files import NOON, TASK, Point, name, tarball, write_task

SEGMENTS = ("calo", "muon")
# Neither the names nor the times give the order away.
SCORES = {"middling": 0.5, "lowest": 0.1, "highest": 0.9, "second": 0.3}
RISING = ["lowest", "second", "middling", "highest"]


def points(segment: str, count: int) -> list[Point]:
    """The first runs of a segment."""
    return [
        Point(
            f"{segment.encode().hex():0>24}{number:08x}",
            f"{segment}-{run_name}",
            start=NOON + number,
            params={
                "learning_rate": f"{number}e-3",
                "optimizer": ("adam", "sgd")[number % 2],
                "framework": "torch",
                **({"depth": str(number)} if segment == "muon" else {}),
            },
            metrics={
                key: "".join(f"{NOON + step} {score + 1 / (step + 1)} {step}\n" for step in range(5))
                for key in ("accuracy", "score")
            },
        )
        for number, (run_name, score) in enumerate(list(SCORES.items())[:count])
    ]


def publish(folder: Path, objective: Objective, segments: tuple[str, ...] = SEGMENTS, count: int = 4) -> Manifest:
    """Ingest the task into `<folder>/store`, with so many runs a segment."""
    tarballs = {name(1, segment): tarball(*points(segment, count)) for segment in segments}
    artifacts = write_task(folder / "tarballs", tarballs)
    return ingest_task(IngestRequest(TASK, (artifacts,), (folder / "store").as_uri(), objective)).manifest
