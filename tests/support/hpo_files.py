"""Metrics tarballs as PanDA's HPO jobs leave them, written by hand: fast, and broken where a test wants it so."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

TASK = 30456789
NOON = 1_795_000_000_000


@dataclass(frozen=True)
class Point:
    """One evaluated point: a run of MLflow's FileStore."""

    run_id: str
    name: str = "point"
    status: int = 3
    lifecycle: str = "active"
    start: int = NOON
    end: int | None = NOON + 60_000
    params: Mapping[str, str] = field(default_factory=lambda: {"lr": "0.1"})
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=lambda: {"loss": f"{NOON} 1.0 0\n{NOON + 1} 0.5 1\n"})
    artifacts: Mapping[str, bytes] = field(default_factory=dict)

    def meta(self) -> str:
        end = "null" if self.end is None else self.end
        return (
            f"artifact_uri: file:///srv/workDir/mlruns/1/{self.run_id}/artifacts\nend_time: {end}\n"
            f"entry_point_name: ''\nexperiment_id: '1'\nlifecycle_stage: {self.lifecycle}\nrun_id: '{self.run_id}'\n"
            f"run_name: {self.name}\nrun_uuid: '{self.run_id}'\nsource_name: ''\nsource_type: 4\nsource_version: ''\n"
            f"start_time: {self.start}\nstatus: {self.status}\ntags: []\nuser_id: pilot\n"
        )

    def files(self, root: str = "mlruns/1") -> dict[str, bytes]:
        """The run's files by their path in the tarball."""
        base = f"{root}/{self.run_id}"
        texts = {
            f"{base}/meta.yaml": self.meta(),
            **{f"{base}/params/{key}": value for key, value in self.params.items()},
            **{f"{base}/tags/{key}": value for key, value in self.tags.items()},
            **{f"{base}/metrics/{key}": value for key, value in self.metrics.items()},
        }
        binaries = {f"{base}/artifacts/{path}": content for path, content in self.artifacts.items()}
        return {path: text.encode() for path, text in texts.items()} | binaries


EXPERIMENT = {
    "mlruns/1/meta.yaml": (f"creation_time: {NOON}\nexperiment_id: '1'\nlast_update_time: {NOON}\nname: x\n").encode()
}


def run_id(number: int) -> str:
    return f"{number:032x}"


def pack(files: Mapping[str, bytes], *others: tarfile.TarInfo) -> bytes:
    """A .tgz with these files, and members without content."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for other in others:
            archive.addfile(other)
    return target.getvalue()


def tarball(*points: Point) -> bytes:
    """The tarball of a job that evaluated these points."""
    return pack(EXPERIMENT | {path: content for point in points for path, content in point.files().items()})


def write_task(folder: Path, tarballs: Mapping[str, bytes]) -> str:
    """Put tarballs into a folder; its URI."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in tarballs.items():
        (folder / name).write_bytes(content)
    return folder.as_uri()


def name(serial: int, segment: str = "") -> str:
    return f"{segment}{'.' if segment else ''}{TASK}.metrics.{serial:06d}.tgz"
