"""An environment like the image's: this one's packages, and beside them MLflow's UI in compressed forms."""

import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from mlflow_on_demand.compress_ui import compress_ui
from mlflow_on_demand.ui_pack import PACK, UiPack

# The image takes brotli's best, 11, and half a minute; what is right about the forms does not depend on it.
QUALITY = 5


@dataclass(frozen=True)
class PackedEnvironment:
    """Its Python, and what lies beside it."""

    python: str
    pack: UiPack


def make_packed_environment(folder: Path) -> PackedEnvironment:
    """Make it in a folder, with this environment's packages linked."""
    venv.create(folder, symlinks=True)
    link_packages(folder)
    pack = compress_ui(folder / PACK.relative_to(sys.prefix), QUALITY)
    return PackedEnvironment(str(folder / "bin" / "python"), pack)


def link_packages(environment: Path) -> None:
    """Have a virtual environment see this one's packages behind its own."""
    packages = next(environment.glob("lib/python3*/site-packages"))
    (packages / "those-of-the-tests.pth").write_text("\n".join(entry for entry in sys.path if entry))
