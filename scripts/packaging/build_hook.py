"""Has hatchling put into a wheel what is made from the parser, so that it fits the program in that wheel."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_AS_THEY_ARE = {
    "empirical-mount@.service": "share/systemd/user",
    "empirical-open-link.desktop": "share/applications",
}
"""Files of this folder, and where they belong."""


class BuildHook(BuildHookInterface[Any]):
    """Adds `share/`; not where the project is used from its folder, for which nothing is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is written."""
        if version == "editable":
            return
        self._share = TemporaryDirectory()
        # A process of its own: nothing of the project stays in the one that builds.
        subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "scripts.packaging.generate", self._share.name], cwd=self.root, check=True
        )
        share = Path(self._share.name, "share")
        build_data["shared_data"][str(share)] = "share"
        for name, folder in _AS_THEY_ARE.items():
            build_data["shared_data"][str(Path(__file__).with_name(name))] = f"{folder}/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """After that."""
        if version != "editable":
            self._share.cleanup()
