from datetime import timedelta

import pytest

from bigpanda_mlflow.settings import Settings, SettingsError, settings_table
from support.builders import ENVIRONMENT


def test_the_required_four_are_enough() -> None:
    settings = Settings.from_environment({**ENVIRONMENT, "K_SINK": "", "PATH": "/bin"})
    assert settings.artifact_stores == ("s3://panda/hpo", "file:///data/metrics")
    assert settings.max_lifetime == timedelta(days=30)
    assert settings.sink is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BIGPANDA_MLFLOW_IMAGE", ""),
        ("BIGPANDA_PAGE_URL", "https://mlflow.example"),
        ("BIGPANDA_PAGE_URL", "javascript:{service}"),
        ("BIGPANDA_SNAPSHOT_STORE", "/data"),
        ("BIGPANDA_ARTIFACT_STORES", " , "),
        ("BIGPANDA_ARTIFACT_STORES", "s3://fine, not a uri"),
        ("BIGPANDA_IDLE_WINDOW", "5s"),
        ("BIGPANDA_IDLE_WINDOW", "61m"),
        ("BIGPANDA_IDLE_WINDOW", "soon"),
        ("BIGPANDA_MAX_LIFETIME", "3600"),
        ("BIGPANDA_MAX_EVENT_BYTES", "lots"),
        ("BIGPANDA_NAMESPACE", "Big Panda"),
        ("BIGPANDA_GATEWAY", "127.0.0.1:8081"),
        ("BIGPANDA_ROLLOUT_COHORTS", "3,0%,100%"),
        ("BIGPANDA_ROLLOUT_COHORTS", "half"),
        ("BIGPANDA_ROLLOUT_STEPS", "50,10,100"),
        ("BIGPANDA_ROLLOUT_STEPS", "10,50"),
        ("BIGPANDA_ROLLOUT_STEPS", "10,101"),
        ("BIGPANDA_ROLLOUT_FAILURE_PERCENT", "101"),
        ("K_SINK", "broker"),
        ("K_SINK_TOKEN_FILE", "eyJhbGciOiJSUzI1NiJ9.a.b"),
    ],
)
def test_a_wrong_variable_is_named_and_its_value_kept_back(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment({**ENVIRONMENT, variable: value})
    assert str(refusal.value).startswith(f"{variable}: ")
    if len(value) > 3:
        assert value not in str(refusal.value)


def test_every_missing_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment({})
    assert all(variable in str(refusal.value) for variable in ENVIRONMENT)


def test_every_setting_has_a_variable_and_a_meaning() -> None:
    for variable, _, meaning in settings_table():
        assert variable.isupper()
        assert meaning not in {"", "None"}
