import posixpath
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.errors import Permanent
from bigpanda_mlflow.policy import check_artifacts

STORES = ("s3://panda/hpo", "root://eosatlas.cern.ch//eos/atlas/hpo/", "file:///data/metrics")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://panda/hpo/30456789/",
        "s3://panda/hpo/a/seg.30456789.metrics.000001.tgz",
        "root://eosatlas.cern.ch//eos/atlas/hpo/30456789/",
        "file:///data/metrics/30456789/",
    ],
)
def test_a_uri_under_a_store_passes(uri: str) -> None:
    check_artifacts([uri], STORES)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("s3://panda/hpo-private/x/", "outside the stores"),
        ("s3://panda/other/", "outside the stores"),
        ("s3://panda2/hpo/x/", "outside the stores"),
        ("http://169.254.169.254/latest/meta-data/", "outside the stores"),
        ("file:///etc/passwd", "outside the stores"),
        ("s3://panda/hpo/../secrets/", "segment"),
        ("s3://panda/hpo/./x/", "segment"),
        ("s3://panda/hpo/%2e%2e/x/", "plain URI"),
        ("s3://user:secret@panda/hpo/x/", "plain URI"),
        ("s3://panda/hpo/x/?versionId=3", "plain URI"),
        ("s3://panda/hpo/x/#part", "plain URI"),
        ("s3://panda/hpo/x\n/", "plain URI"),
        ("s3://panda/hpo/x\\..\\y/", "plain URI"),
        ("S3://panda/hpo/x/", "plain URI"),
        ("/data/metrics/x", "plain URI"),
        ("s3://pändä/hpo/x/", "plain URI"),
        ("", "plain URI"),
    ],
)
def test_anything_else_is_refused_by_field_and_reason(uri: str, reason: str) -> None:
    with pytest.raises(Permanent, match=reason) as refusal:
        check_artifacts(["s3://panda/hpo/fine/", uri], STORES)
    assert refusal.value.field == "data.artifacts[1]"


@given(st.text(alphabet="s3:/.@%?#ahpo~\\\n é", max_size=40).map(lambda tail: "s3://panda/hpo" + tail))
def test_what_passes_stays_under_the_store_for_any_reader(uri: str) -> None:
    try:
        check_artifacts([uri], STORES)
    except Permanent:
        return
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("s3", "panda", "", "")
    assert posixpath.normpath(parts.path).startswith("/hpo")
    assert "%" not in uri
