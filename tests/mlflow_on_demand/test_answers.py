import gzip
import io
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_on_demand.answers import (
    MAX_BYTES,
    Answer,
    answers_key,
    find_answers,
    pack_answers,
    parse_answers,
)
from mlflow_on_demand.errors import AnswersError, SnapshotError
from mlflow_on_demand.store import Store
from mlflow_on_demand.store_file import FileStore
from support.snapshots import MANIFEST

ANSWERS = {
    '["GET","/a",[],null]': Answer.of(200, "application/json", b'{"a": "\xc3\xbc"}'),
    '["POST","/b",[],{}]': Answer.of(200, "application/json", b""),
    '["GET","/c",[["k","v"]],null]': Answer.of(200, "text/html; charset=utf-8", b"long" * 10_000),
}
RECORDING = pack_answers("d1", "3.17.2", ANSWERS)


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_what_is_recorded_is_found_again() -> None:
    found = parse_answers(RECORDING, "d1", "3.17.2")
    assert found == ANSWERS
    assert [answer.body() for answer in found.values()] == [b'{"a": "\xc3\xbc"}', b"", b"long" * 10_000]
    assert parse_answers(pack_answers("d1", "3.17.2", {}), "d1", "3.17.2") == {}


def test_a_body_lies_there_as_a_browser_takes_it() -> None:
    assert gzip.decompress(ANSWERS['["GET","/c",[["k","v"]],null]'].packed) == b"long" * 10_000
    assert pack_answers("d1", "3.17.2", ANSWERS) == RECORDING


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        (b"", "damaged"),
        (b"\n", "damaged"),
        (RECORDING[:-1], "damaged"),
        (RECORDING + b"x", "damaged"),
        (flip(RECORDING, 3), "damaged"),
        (flip(RECORDING, 80), "damaged"),
        (flip(RECORDING, len(RECORDING) - 1), "damaged"),
        (b"x" * (MAX_BYTES + 1), "larger"),
        (pack_answers("d2", "3.17.2", ANSWERS), "another snapshot"),
        (pack_answers("d1", "3.18.0", ANSWERS), "another snapshot"),
    ],
)
def test_what_is_damaged_or_foreign_is_refused(recording: bytes, message: str) -> None:
    with pytest.raises(AnswersError, match=message):
        parse_answers(recording, "d1", "3.17.2")
    assert issubclass(AnswersError, SnapshotError)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return FileStore(str(tmp_path))


def test_answers_are_looked_for_by_snapshot_and_version(store: Store) -> None:
    manifest = replace(MANIFEST, digest="d1")
    assert find_answers(store, manifest, "3.17.2") is None
    store.write(answers_key("d1", "3.17.2"), io.BytesIO(RECORDING))
    assert find_answers(store, manifest, "3.17.2") == ANSWERS
    assert find_answers(store, manifest, "3.18.0") is None
    assert find_answers(store, replace(MANIFEST, digest="d2"), "3.17.2") is None


def test_a_recording_that_cannot_be_used_is_told_in_the_log(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    manifest = replace(MANIFEST, digest="d1")
    store.write(answers_key("d1", "3.17.2"), io.BytesIO(RECORDING[:-1]))
    with caplog.at_level(logging.WARNING):
        assert find_answers(store, manifest, "3.17.2") is None
    assert vars(caplog.records[0])["reason"] == "the recorded answers are damaged"
