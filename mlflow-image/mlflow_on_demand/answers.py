"""Recorded answers: what this image's MLflow replies to the requests of the landing view, kept beside the snapshot.

A snapshot never changes, so an answer is a function of snapshot, MLflow version and request, and right for ever. The
recording of one version is one object, `answers/<MLflow version>/<digest of the snapshot>`:

    the sha256 of all that follows, in hexadecimal, and a line break
    a line of JSON: whose answers these are, and of each its request, status, content type and length
    the bodies, each compressed by itself: a browser gets them as they lie here

A wake reads it whole before it loads anything else, so it is small (MAX_BYTES), and whatever is wrong with it costs no
more than the answers: MLflow gives them itself. Light to import: no MLflow.
"""

import gzip
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow_on_demand.errors import AnswersError, ObjectMissing, OnDemandError
from mlflow_on_demand.records import from_json, to_json
from mlflow_on_demand.snapshot import Manifest
from mlflow_on_demand.store import Store

_log = logging.getLogger(__name__)

FORMAT = 1
"""Counts up with the layout, and with what this image adds to an answer of MLflow (its environment, the URIs)."""

MAX_BYTES = 4 * 2**20
_DIGEST_BYTES = 64


@dataclass(frozen=True)
class Answer:
    """One reply of MLflow; `packed` is its body, compressed by gzip."""

    status: int
    content_type: str
    packed: bytes

    @classmethod
    def of(cls, status: int, content_type: str, body: bytes) -> "Answer":
        """The reply with this body; always the same bytes for the same reply."""
        return cls(status, content_type, gzip.compress(body, mtime=0))

    def body(self) -> bytes:
        """The body as MLflow gave it."""
        return gzip.decompress(self.packed)


Answers = Mapping[str, Answer]
"""By the key of the request."""


@dataclass(frozen=True)
class _Entry:
    request: str
    status: int
    content_type: str
    size: int


@dataclass(frozen=True)
class _Index:
    format: int
    snapshot: str
    mlflow: str
    answers: tuple[_Entry, ...]


def answers_key(snapshot: str, mlflow_version: str) -> str:
    """Where the recording of a version lies beside the manifest; `snapshot` is the manifest's digest."""
    return f"answers/{mlflow_version}/{snapshot}"


def pack_answers(snapshot: str, mlflow_version: str, answers: Answers) -> bytes:
    """The recording."""
    entries = [_Entry(key, one.status, one.content_type, len(one.packed)) for key, one in answers.items()]
    index = to_json(_Index(FORMAT, snapshot, mlflow_version, tuple(entries)))
    content = index + b"".join(one.packed for one in answers.values())
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def parse_answers(recording: bytes, snapshot: str, mlflow_version: str) -> dict[str, Answer]:
    """The answers in a recording of this snapshot and version; AnswersError if it is none."""
    digest, content = recording[:_DIGEST_BYTES], recording[_DIGEST_BYTES + 1 :]
    if len(recording) > MAX_BYTES:
        raise AnswersError("the recorded answers are larger than any that were written")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise AnswersError("the recorded answers are damaged")
    line, _, bodies = content.partition(b"\n")
    index = from_json(_Index, line)
    if (index.format, index.snapshot, index.mlflow) != (FORMAT, snapshot, mlflow_version):
        raise AnswersError("the recorded answers are those of another snapshot or version")
    answers, at = {}, 0
    for entry in index.answers:
        answers[entry.request] = Answer(entry.status, entry.content_type, bodies[at : at + entry.size])
        at += entry.size
    return answers


def find_answers(store: Store, manifest: Manifest, mlflow_version: str) -> dict[str, Answer] | None:
    """What is recorded for this snapshot and version, or None when there is nothing that can be used; never fails."""
    try:
        recording = store.read(answers_key(manifest.digest, mlflow_version), 0, MAX_BYTES + 1)
        return parse_answers(recording, manifest.digest, mlflow_version)
    except ObjectMissing:
        return None
    except OnDemandError as error:
        _log.warning("recorded answers are not used", extra={"snapshot": manifest.digest, "reason": str(error)})
        return None
