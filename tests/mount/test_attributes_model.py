"""What a mount shows of a project that changes, beside a plain model; hypothesis thinks of the changes.

The same few in every run; more of them, with other ones for every seed (also give `--timeout 3600`):

    EMPIRICAL_ATTRIBUTE_MOUNTS=50 EMPIRICAL_ATTRIBUTE_SEED=1 pytest -s tests/mount/test_attributes_model.py
"""

import os
import sys
from pathlib import Path

import pytest

from tests.models.attributes.machine import run_machine
from tests.models.attributes.world import project_in

pytestmark = pytest.mark.both_libraries

CAMPAIGN = int(os.environ.get("EMPIRICAL_ATTRIBUTE_MOUNTS", "0"))
MOUNTS, STEPS = (CAMPAIGN, 50) if CAMPAIGN else (3, 15)
SEED = int(os.environ.get("EMPIRICAL_ATTRIBUTE_SEED", "1")) if CAMPAIGN else None


def test_what_a_mount_shows(tmp_path: Path) -> None:
    """Names, attributes, contents and space are those of the listing at once, whatever changed in it."""
    with project_in(tmp_path) as project:
        try:
            run_machine(project, tmp_path, MOUNTS, STEPS, SEED)
        finally:
            sys.stdout.write(f"\n{project.tally}\n")
