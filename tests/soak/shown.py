"""What a mount shows, soaked: the attributes of a project that changes, and every call beside ext4."""

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from tests.models.attributes.machine import run_machine
from tests.models.attributes.world import project_in
from tests.models.calls import comparison as calls
from tests.support.harness import mounted_by_program, serving

Say = Callable[[str], object]

_MOUNTS, _STEPS = 5, 40
_FLAGS = 5
"""How many flags an `open` has at most."""


def soak_attributes(folder: Path, seconds: float, seed: int, say: Say) -> list[str]:
    """Compare with the model, in mount after mount, for so long; what was wrong."""
    end = time.monotonic() + seconds
    failed: list[str] = []
    with project_in(folder) as project:
        for number in count(seed):
            if time.monotonic() > end:
                break
            try:
                run_machine(project, folder, _MOUNTS, _STEPS, number)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the soak goes on
                failed.append("\n".join([f"seed {number}: {error}", *getattr(error, "__notes__", ())]))
        say(f"attributes: {project.tally}, {len(failed)} wrong")
    return failed


def soak_calls(folder: Path, say: Say) -> list[str]:
    """Compare every call, with many flags, for each umask; what is not as on ext4."""
    reason = calls.why_not()
    if reason is not None:
        say(f"calls: not compared, for {reason}")
        return []
    failed: list[str] = []
    compared = 0
    with serving(folder / "project", folder / "url") as sandbox:
        calls.fill(sandbox)
        for umask in calls.UMASKS:
            with (
                mounted_by_program(folder / f"mnt-{umask}", sandbox.url, *calls.options(umask)) as mount,
                calls.ext4_like(mount, folder) as there,
            ):
                some, found = calls.differences(
                    calls.outcomes(mount.path, _FLAGS), calls.outcomes(there, _FLAGS)
                )
            compared += some
            failed += [f"umask {umask}: {each}" for each in found]
    say(f"calls: {compared} compared with ext4, {len(failed)} wrong")
    return failed
