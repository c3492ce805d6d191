"""What a deployment decides, read once from a mapping of the environment into a frozen object.

Promises: every wrong or missing variable is named, with what is wrong; a value is never repeated, since an operator may
have pasted a secret into the wrong place.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
)

from bigpanda_mlflow.events import Duration
from mlflow_on_demand.allowed import read_store
from mlflow_on_demand.errors import StoreUriError
from mlflow_on_demand.reach import PRIVATE_HOSTS


class SettingsError(Exception):
    """The environment does not describe a deployment; the message has one line a variable."""


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _readable(store: str) -> str:
    try:
        read_store(store)
    except StoreUriError as error:
        raise ValueError(f"a store {error}") from None
    return store


StoreUri = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://[!-~]*$", max_length=512)]
SourceUri = Annotated[StoreUri, AfterValidator(_readable)]
Host = Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?$", max_length=260)]
Share = Annotated[str, Field(pattern=r"^([1-9][0-9]{0,5}|[1-9][0-9]?%|100%)$")]
Percent = Annotated[int, Field(ge=1, le=100)]
Label = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class Settings(BaseModel):
    """The functions' settings. Each field is the environment variable named by its alias."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    namespace: Label = Field(default="bigpanda", alias="BIGPANDA_NAMESPACE", description="where tasks' Services live")
    mlflow_image: str = Field(
        alias="BIGPANDA_MLFLOW_IMAGE", min_length=1, description="image of new tasks' pages; name it by digest"
    )
    page_url: str = Field(
        alias="BIGPANDA_PAGE_URL",
        pattern=r"^https?://\{service\}[A-Za-z0-9.-]*(:[0-9]{1,5})?$",
        description="address of a task's page, `{service}` stands for its Service's name",
    )
    snapshot_store: StoreUri = Field(alias="BIGPANDA_SNAPSHOT_STORE", description="URI under which snapshots are kept")
    artifact_stores: Annotated[tuple[SourceUri, ...], BeforeValidator(_split), Field(min_length=1)] = Field(
        alias="BIGPANDA_ARTIFACT_STORES", description="URI prefixes that an event may point at, separated by commas"
    )
    private_hosts: Annotated[tuple[Host, ...], BeforeValidator(_split)] = Field(
        default=(),
        alias=PRIVATE_HOSTS,
        description="hosts (or host:port) of these that may have loopback, link-local or private addresses,"
        " separated by commas; http and https only",
    )
    page_secret: Label = Field(
        default="bigpanda-mlflow-page",
        alias="BIGPANDA_PAGE_SECRET",
        description="Secret whose keys a page's pod gets as environment: read access to the snapshot store",
    )
    page_files: Label | None = Field(
        default=None,
        alias="BIGPANDA_PAGE_FILES",
        description="Secret that a page's pod sees as files in /etc/bigpanda/credentials, for what rotates",
    )
    idle_window: Annotated[str, Field(pattern=r"^[0-9]+[sm]$")] = Field(
        default="60s",
        alias="BIGPANDA_IDLE_WINDOW",
        description="a page sleeps after this long without a request, 6s to 60m",
    )
    max_lifetime: Duration = Field(
        default=timedelta(days=30),
        alias="BIGPANDA_MAX_LIFETIME",
        description="longest lifetime that an event may ask for",
    )
    snapshot_lifetime: Duration = Field(
        default=timedelta(days=180),
        alias="BIGPANDA_SNAPSHOT_LIFETIME",
        description="a snapshot is kept so long after its task last had a page or new results",
    )
    tombstone_retention: Duration = Field(
        default=timedelta(days=14),
        alias="BIGPANDA_TOMBSTONE_RETENTION",
        description="how long an ended task is remembered; longer than any event may be retried or replayed",
    )
    sweep_patience: Duration = Field(
        default=timedelta(days=3),
        alias="BIGPANDA_SWEEP_PATIENCE",
        description="a task without new tarballs for so long counts as finished: nobody looks for more",
    )
    ready_timeout: Duration = Field(
        default=timedelta(seconds=30),
        alias="BIGPANDA_READY_TIMEOUT",
        description="how long one request waits for a Service to become ready",
    )
    max_event_bytes: int = Field(
        default=65536, ge=1024, alias="BIGPANDA_MAX_EVENT_BYTES", description="largest request body that is read"
    )
    sink: Annotated[str, Field(pattern=r"^https?://[!-~]+$")] | None = Field(
        default=None, alias="K_SINK", description="address of the broker, for functions that send more than a reply"
    )
    sink_token_file: Annotated[str, Field(pattern=r"^/[!-~]+$")] | None = Field(
        default=None,
        alias="K_SINK_TOKEN_FILE",
        description="file with the token that a broker with OIDC asks for, read anew for each event",
    )
    gateway: Annotated[str, Field(pattern=r"^https?://[!-~]+$")] | None = Field(
        default=None,
        alias="BIGPANDA_GATEWAY",
        description="where requests to cluster-local host names go when these do not resolve, as on a laptop",
    )
    rollout_cohorts: Annotated[tuple[Share, ...], BeforeValidator(_split), Field(min_length=1)] = Field(
        default=("3", "10%", "50%", "100%"),
        alias="BIGPANDA_ROLLOUT_COHORTS",
        description="how far each cohort of a rollout takes the fleet: pages, or percent of all; the rest comes last",
    )
    rollout_soak: Duration = Field(
        default=timedelta(minutes=15),
        alias="BIGPANDA_ROLLOUT_SOAK",
        description="how long a cohort is watched before the next one begins",
    )
    rollout_steps: Annotated[tuple[Percent, ...], BeforeValidator(_split), Field(min_length=1)] = Field(
        default=(10, 50, 100),
        alias="BIGPANDA_ROLLOUT_STEPS",
        description="traffic of the new Revision of a page that is awake, step by step; a sleeping page takes one step",
    )
    rollout_step_soak: Duration = Field(
        default=timedelta(minutes=5), alias="BIGPANDA_ROLLOUT_STEP_SOAK", description="time between two such steps"
    )
    rollout_failure_percent: int = Field(
        default=10,
        ge=0,
        le=100,
        alias="BIGPANDA_ROLLOUT_FAILURE_PERCENT",
        description="more of a cohort than this, and more than one page, failing halts a rollout (0: any page)",
    )
    rollout_at_once: int = Field(
        default=4, ge=1, le=64, alias="BIGPANDA_ROLLOUT_AT_ONCE", description="pages that are upgraded at the same time"
    )
    rollout_verify_timeout: Duration = Field(
        default=timedelta(seconds=60),
        alias="BIGPANDA_ROLLOUT_VERIFY_TIMEOUT",
        description="a candidate has to wake and to be verified within this time",
    )
    front_tokens: Annotated[tuple[SecretStr, ...], BeforeValidator(_split)] = Field(
        default=(),
        alias="BIGPANDA_FRONT_TOKENS",
        description="bearer tokens that open the front door, separated by commas: two are valid during a rotation",
    )

    ops_tokens: Annotated[tuple[SecretStr, ...], BeforeValidator(_split)] = Field(
        default=(),
        alias="BIGPANDA_OPS_TOKENS",
        description="bearer tokens of operators, who may also roll out images at the front door; none of BigPANDA's",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Raises SettingsError. Variables that are set but empty count as absent, as in a ConfigMap left blank."""
        try:
            settings = cls.model_validate({name: value for name, value in environment.items() if value})
        except ValidationError as error:
            lines = [f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors(include_input=False)]
            raise SettingsError("; ".join(lines)) from None
        if not 6 <= _seconds(settings.idle_window) <= 3600:
            raise SettingsError("BIGPANDA_IDLE_WINDOW: Knative takes 6s to 60m")
        if settings.snapshot_lifetime < settings.max_lifetime:
            raise SettingsError("BIGPANDA_SNAPSHOT_LIFETIME: is shorter than BIGPANDA_MAX_LIFETIME, a page's longest")
        if list(settings.rollout_steps) != sorted(set(settings.rollout_steps)) or settings.rollout_steps[-1] != 100:
            raise SettingsError("BIGPANDA_ROLLOUT_STEPS: each step is above the one before, and the last is 100")
        return settings


def _seconds(window: str) -> int:
    amount = re.match("[0-9]+", window)
    assert amount is not None  # the field's pattern
    return int(amount[0]) * (60 if window.endswith("m") else 1)


def settings_table() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting, for the documentation and the test that holds it to the code."""
    rows = []
    for field in Settings.model_fields.values():
        default: Any = "required" if field.is_required() else field.get_default()
        if isinstance(default, timedelta):
            default = TypeAdapter(timedelta).dump_python(default, mode="json")
        if isinstance(default, tuple):
            default = ",".join(str(one) for one in default)
        rows.append((str(field.alias), "" if default in (None, "") else str(default), str(field.description)))
    return rows
