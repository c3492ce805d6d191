"""How a command ends: its exit code, and the error that becomes a sentence on standard error.

OpsError
├── Wrong          something is wrong with what was asked about, or it was refused: 1
├── Misused        the command line or the data given with it make no sense: 2
└── Unreachable    cluster, front door, page or store cannot be reached, or forbid it: 3
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What scripts can rely on."""

    OK = 0
    WRONG = 1
    USAGE = 2
    UNREACHABLE = 3
    FAULT = 4
    """Of this program: nobody expected it."""
    INTERRUPTED = 130


class OpsError(Exception):
    """Ends the command with a sentence."""

    code = ExitCode.FAULT


class Wrong(OpsError):
    """Something is wrong with what was asked about, or what was asked for was refused."""

    code = ExitCode.WRONG


class Misused(OpsError):
    """The command line, or the data given with it, make no sense."""

    code = ExitCode.USAGE


class Unreachable(OpsError):
    """Something that this command needs does not answer, or does not allow it."""

    code = ExitCode.UNREACHABLE
