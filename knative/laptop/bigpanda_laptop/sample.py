"""The sample task of `make run`: tarballs into the S3 server, an event to the broker, as grid and BigPanDA do it."""

import contextlib
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import requests

from bigpanda_laptop.deploy import METRICS, SNAPSHOTS

TASK = 30456789
TARBALLS = Path(__file__).parents[1] / "sample" / "tarballs"
OBJECTIVE = {"metric": "val_loss", "direction": "minimize"}
EVENT_TYPE = "ch.cern.bigpanda.task.visualize"


def make_event_data(lifetime: str) -> dict[str, Any]:
    """What BigPanDA says of the sample task; `lifetime` is an ISO 8601 duration."""
    return {
        "jeditaskid": TASK,
        "owner": "laptop",
        "artifacts": [f"s3://{METRICS}/{TASK}/"],
        "lifetime": lifetime,
        "objective": OBJECTIVE,
    }


def make_curl(broker: str, data: dict[str, Any]) -> str:
    """A command that fires such an event: every call is a new one, asked for now."""
    return (
        f"curl -i {broker} -H 'content-type: application/json' -H 'ce-specversion: 1.0' -H 'ce-source: /bigpanda' \\\n"
        f'    -H "ce-id: $(date +%s%N)" -H "ce-time: $(date -u +%FT%TZ)" -H \'ce-type: {EVENT_TYPE}\' \\\n'
        f"    -d '{json.dumps(data)}'"
    )


def fire(broker: str, data: dict[str, Any]) -> None:
    """Sends the event; the broker has it when this returns. Raises requests.RequestException."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(uuid.uuid4()),
        "ce-source": "/bigpanda",
        "ce-type": EVENT_TYPE,
        "ce-time": datetime.now(UTC).isoformat(),
    }
    requests.post(broker, json=data, headers=headers, timeout=30).raise_for_status()


class Storage:
    """The two buckets of a laptop: what grid jobs wrote, and what ingest made of it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._s3 = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_REGION"],
            config=botocore.config.Config(s3={"addressing_style": "path"}),
        )

    def load(self, task: int = TASK) -> int:
        """Puts the sample's tarballs where the event will point, as that task's, and says how many there are."""
        for bucket in (METRICS, SNAPSHOTS):
            with contextlib.suppress(botocore.exceptions.ClientError):  # it is there from an earlier run
                self._s3.create_bucket(Bucket=bucket)
        there = {item["Key"]: item["Size"] for item in self._list(METRICS, task)}
        tarballs = sorted(TARBALLS.glob("*.tgz"))
        for path in tarballs:
            key = f"{task}/{path.name.replace(str(TASK), str(task))}"
            if there.get(key) != path.stat().st_size:
                self._s3.put_object(Bucket=METRICS, Key=key, Body=path.read_bytes())
        return len(tarballs)

    def has_snapshot(self) -> bool:
        """Whether ingest has published the sample task."""
        return any(item["Key"].endswith("/manifest.json") for item in self._list(SNAPSHOTS, TASK))

    def _list(self, bucket: str, task: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._s3.list_objects_v2(Bucket=bucket, Prefix=f"{task}/").get("Contents", [])
        return found
