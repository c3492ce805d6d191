"""The end of a child process: asked for first, so that it can put its things in order."""

import subprocess


def end(process: subprocess.Popen[str] | subprocess.Popen[bytes], seconds: float) -> None:
    """Ask the process to end, and end it when it has not done so within this time."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
