import posixpath
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_mlflow.errors import Permanent
from bigpanda_mlflow.policy import check_artifacts
from bigpanda_mlflow.settings import Settings, SettingsError
from support.builders import ENVIRONMENT

STORES = (
    "s3://panda/hpo",
    "root://eosatlas.cern.ch//eos/atlas/hpo/",
    "roots://eostls.cern.ch:1095//eos/hpo/",
    "file:///data/metrics",
    "https://EOS.cern.ch/webdav/hpo",
    "http://plain.cern.ch:8080/hpo/",
    "https://bigpanda.cern.ch/idds/downloadhpometrics/",
)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://panda/hpo/30456789/",
        "s3://panda/hpo/a/seg.30456789.metrics.000001.tgz",
        "root://eosatlas.cern.ch//eos/atlas/hpo/30456789/",
        "file:///data/metrics/30456789/",
        # other spellings of the same
        "root://EOSatlas.cern.ch:1094//eos/atlas/hpo/30456789/",
        "xroot://eosatlas.cern.ch.//eos//atlas/hpo///30456789/",
        "root://eosatlas.cern.ch/eos/atlas/hpo/30456789/",
        "xroots://eostls.cern.ch:1095//eos/hpo/x/",
        "https://eos.cern.ch:443/webdav/hpo/x/",
        "davs://eos.cern.ch/webdav/hpo/x/",
        "dav://plain.cern.ch:8080/hpo/x/",
        "https://bigpanda.cern.ch/idds/downloadhpometrics/?workloadid=30456789",
        "https://bigpanda.cern.ch/idds/downloadhpometrics?workloadid=30456789",
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
        ("root://eosatlas.cern.ch:1095//eos/atlas/hpo/x/", "outside the stores"),
        ("roots://eosatlas.cern.ch//eos/atlas/hpo/x/", "outside the stores"),
        ("root://eosatlas.cern.ch//eos/atlas/hpo-private/x/", "outside the stores"),
        ("root://eosatlas.cern.ch//eos/atlas/hpo/..//..//x/", "segment"),
        ("root://eosatlas.cern.ch//eos/atlas/hpo/x?authz=secret", "plain URI"),
        ("root://evil.org@eosatlas.cern.ch//eos/atlas/hpo/x/", "plain URI"),
        ("root://eosatlas.cern.ch.evil.org//eos/atlas/hpo/x/", "outside the stores"),
        ("https://eos.cern.ch/webdav/hpo/%2e%2e/x/", "plain URI"),
        ("https://eos.cern.ch/webdav/hpo%2fx/", "plain URI"),
        ("https://eos.cern.ch//webdav/hpo/x/", "outside the stores"),
        ("https://eos.cern.ch:4430/webdav/hpo/x/", "outside the stores"),
        ("http://eos.cern.ch/webdav/hpo/x/", "outside the stores"),
        ("https://eos.cern.ch:0/webdav/hpo/x/", "port"),
        ("https://eos.cern.ch:99999/webdav/hpo/x/", "port"),
        ("s3://panda:443/hpo/x/", "port"),
        ("https:///webdav/hpo/x/", "names no host"),
        ("https://eos.cern.ch/webdav/hpo/x/?workloadid=3", "query"),
        ("s3://panda/hpo/downloadhpometrics/?workloadid=3", "query"),
        ("https://bigpanda.cern.ch/idds/downloadhpometrics/?workloadid=3&x=1", "plain URI"),
        ("https://bigpanda.cern.ch/idds/other/downloadhpometrics/?workloadid=3", "outside the stores"),
        ("https://bigpanda.cern.ch/idds/downloadhpometrics/?workloadid=0", "query"),
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


@pytest.mark.parametrize(
    "store", ["https://host/a/../b/", "s3://panda/a%20b", "https://user@host/", "https://host:0/x", "root:///eos"]
)
def test_a_store_that_no_uri_could_lie_in_is_no_setting(store: str) -> None:
    with pytest.raises(SettingsError, match=r"BIGPANDA_ARTIFACT_STORES.*a store"):
        Settings.from_environment({**ENVIRONMENT, "BIGPANDA_ARTIFACT_STORES": f"s3://panda/hpo,{store}"})
