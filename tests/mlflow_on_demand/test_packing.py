import gzip
import random
import subprocess
from pathlib import Path

import pytest

from mlflow_on_demand.packing import pack

NOISE = random.Random(1).randbytes(100_000)


@pytest.mark.parametrize("size", [1, 2**20, 5 * 2**20 + 1])
def test_what_is_packed_is_gzip_and_always_the_same(tmp_path: Path, size: int) -> None:
    source, targets = tmp_path / "plain", [tmp_path / "once.gz", tmp_path / "twice.gz"]
    source.write_bytes((NOISE * (size // len(NOISE) + 1))[:size])
    for target in targets:
        pack(source, target)
    assert gzip.decompress(targets[0].read_bytes()) == source.read_bytes()
    assert subprocess.run(["gunzip", "-c", targets[0]], check=True, capture_output=True).stdout == source.read_bytes()
    assert targets[0].read_bytes() == targets[1].read_bytes()
