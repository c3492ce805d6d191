import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.errors import SettingsError
from mlflow_on_demand.settings import MAX_JEDITASKID, ServerSettings

GOOD = {
    "BIGPANDA_JEDITASKID": "30456789",
    "BIGPANDA_SNAPSHOT_STORE": "s3://snapshots/hpo",
    "BIGPANDA_PUBLIC_URL": "http://task-30456789.bigpanda.localhost:8080",
}

names = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)
stores = st.builds("{}{}/{}".format, st.sampled_from(["s3://", "file:///", "https://", "davs://"]), names, names)
stores |= st.builds("{}://{}//{}".format, st.sampled_from(["root", "roots", "xroot", "xroots"]), names, names)
urls = st.builds("{}://{}.{}".format, st.sampled_from(["http", "https"]), names, names)
ports = st.integers(1, 65535)


@given(st.integers(1, MAX_JEDITASKID), stores, urls | st.builds("{}:{}".format, urls, ports), ports)
def test_what_one_side_writes_the_other_reads(jeditaskid: int, store: str, url: str, port: int) -> None:
    settings = ServerSettings(jeditaskid, store, url, port)
    assert ServerSettings.from_env({**settings.to_env(), "PORT": str(port)}) == settings


def test_from_env_reads_every_variable() -> None:
    read = ServerSettings.from_env({**GOOD, "PORT": "9000", "HOME": "/"})
    assert read == ServerSettings(
        30456789, "s3://snapshots/hpo", "http://task-30456789.bigpanda.localhost:8080", port=9000
    )
    assert read.public_host == "task-30456789.bigpanda.localhost"


def test_the_port_is_knatives_to_set() -> None:
    settings = ServerSettings.from_env(GOOD)
    assert settings.port == 8080
    assert settings.to_env() == GOOD


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *((variable, "") for variable in GOOD),
        ("BIGPANDA_JEDITASKID", "0"),
        ("BIGPANDA_JEDITASKID", "-1"),
        ("BIGPANDA_JEDITASKID", "12a"),
        ("BIGPANDA_JEDITASKID", "٣"),
        ("BIGPANDA_JEDITASKID", str(MAX_JEDITASKID + 1)),
        ("BIGPANDA_SNAPSHOT_STORE", "/data"),
        ("BIGPANDA_SNAPSHOT_STORE", "s3:///prefix"),
        ("BIGPANDA_SNAPSHOT_STORE", "file://host/dir"),
        ("BIGPANDA_SNAPSHOT_STORE", "root:///eos/x"),
        ("BIGPANDA_SNAPSHOT_STORE", "root://host//eos/x?authz=secret"),
        ("BIGPANDA_SNAPSHOT_STORE", "root://me:secret@host//eos/x"),
        ("BIGPANDA_SNAPSHOT_STORE", "https://me:secret@store/x"),
        ("BIGPANDA_SNAPSHOT_STORE", "https://store/x?token=secret"),
        ("BIGPANDA_SNAPSHOT_STORE", "ftp://store/x"),
        ("BIGPANDA_STORE_SECONDS", "0"),
        ("BIGPANDA_STORE_SECONDS", "1.5"),
        ("BIGPANDA_STORE_SECONDS", "3601"),
        ("BIGPANDA_PUBLIC_URL", "task.example"),
        ("BIGPANDA_PUBLIC_URL", "http://task.example/path"),
        ("BIGPANDA_PUBLIC_URL", "http://task.example/"),
        ("BIGPANDA_PUBLIC_URL", "http://user:secret@task.example"),
        ("BIGPANDA_PUBLIC_URL", "http://task.example:port"),
        ("BIGPANDA_PUBLIC_URL", "ftp://task.example"),
        ("BIGPANDA_PUBLIC_URL", "http://task .example"),
        ("BIGPANDA_PUBLIC_URL", "http://[::1"),
        ("PORT", "http"),
        ("PORT", "65536"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable) as caught:
        ServerSettings.from_env({**GOOD, variable: value})
    assert "secret" not in str(caught.value)
