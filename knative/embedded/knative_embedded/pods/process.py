"""One pod's process group: started so that it cannot outlive the runtime, and ended whole.

A pod leads its own session, so that SIGTERM and SIGKILL reach all it started. Where util-linux `setpriv` exists, the
kernel also kills it when the runtime dies without a word.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

from knative_embedded.pods.plan import CannotRun, Plan


class PodProcess:
    """A started process group."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        """Until the leader has ended; what it left of its group is killed then."""
        code = await self._process.wait()
        self._signal(signal.SIGKILL)
        return code

    async def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds."""
        if self._process.returncode is None:
            self._signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), grace)
            except TimeoutError:
                self._signal(signal.SIGKILL)
                await self._process.wait()
        self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


async def spawn(plan: Plan, log: Path) -> PodProcess:
    """Start a plan's process with its output appended to `log`. Raises CannotRun."""
    executable = shutil.which(plan.argv[0], path=plan.env["PATH"])
    if executable is None:
        raise CannotRun("ContainerCannotRun", f"{plan.argv[0]!r} is no executable on the pod's PATH")
    if not plan.workdir.is_dir():
        raise CannotRun("ContainerCannotRun", f"the working directory {plan.workdir} does not exist")
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            *prefix,
            executable,
            *plan.argv[1:],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=dict(plan.env),
            cwd=plan.workdir,
            start_new_session=True,
        )
    except OSError as error:
        raise CannotRun("ContainerCannotRun", str(error)) from None
    finally:
        os.close(descriptor)
    return PodProcess(process)
