"""What `retain` would collect, as an operator is told: the numbers, and nothing is removed."""

import json
from pathlib import Path

from bigpanda_laptop.deploy import SNAPSHOTS
from ops.conftest import Ops
from support.laptop import until


def test_what_would_be_collected_is_told_and_stays(ops: Ops) -> None:
    store = ops.state / "s3" / SNAPSHOTS
    manifest = until(lambda: next(store.rglob("30456789/*/manifest.json"), None), 120, "a snapshot of the sample")
    assert isinstance(manifest, Path)
    left = manifest.parent / f"{'0' * 64}.zip"
    left.write_bytes(b"left by somebody")
    try:
        said = json.loads(ops.run("retention", "--json").stdout)
        assert said["objects"]["in grace"] >= 1
        assert said["bytes"]["in grace"] >= 16
        assert said["tasks"] >= 1
        for_people = ops.run("retention")
        assert (for_people.returncode, for_people.stderr) == (0, "")
        assert "in grace" in for_people.stdout
        assert left.exists()
    finally:
        left.unlink()
