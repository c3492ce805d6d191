"""`make run` as a process: it stops clean, comes back with everything, and says plainly why it cannot start."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.laptop import descendants, running_laptop, until

TASK = "task-30456789"


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ended(processes: list[int]) -> bool:
    return not any(is_running(process) for process in processes)


def test_ctrl_c_leaves_nothing_and_the_next_run_finds_everything(tmp_path: Path) -> None:
    with running_laptop(tmp_path / "state") as first:
        assert first.get(TASK).status_code == 200
        before, processes = first.service(TASK), descendants(first.process.pid)
        assert len(processes) >= 4
    assert first.process.returncode == 0
    assert ended(processes)
    with running_laptop(tmp_path / "state") as second:
        after = second.service(TASK)
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert (second.ingress, second.internal) == (first.ingress, first.internal)
        assert second.get(TASK).status_code == 200


def test_kill_9_leaves_nothing_either_and_loses_nothing(tmp_path: Path) -> None:
    with running_laptop(tmp_path / "state") as first:
        assert first.get(TASK).status_code == 200
        before, processes = first.service(TASK), descendants(first.process.pid)
        os.kill(first.process.pid, signal.SIGKILL)
        until(lambda: ended(processes), 60, "every process below it has ended")
    with running_laptop(tmp_path / "state") as second:
        after = second.service(TASK)
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]


@pytest.mark.parametrize("flag", ["--ingress-port", "--internal-port", "--api-port"])
def test_a_taken_port_is_named_in_a_sentence(tmp_path: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = {"--ingress-port": "0", "--internal-port": "0", "--api-port": "0", flag: port}
        command = [sys.executable, "-m", "bigpanda_laptop", "--state", str(tmp_path)]
        answer = subprocess.run(
            [*command, *(word for pair in arguments.items() for word in pair)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert answer.returncode == 1
    assert port in answer.stderr
    assert "Traceback" not in answer.stderr
