"""The command `--doctor`: checks everything that a mount needs, and shows the findings."""

import argparse
from dataclasses import asdict
from functools import partial

from empirical_fs.cli import logs
from empirical_fs.cli.mount_settings import mount_settings
from empirical_fs.cli.output import say, say_json
from empirical_fs.cli.places import place_of
from empirical_fs.doctor.diagnoses import Verdict, lines
from empirical_fs.doctor.project import examine as examined

_ERRORS_ALONE = -1


def examine(given: argparse.Namespace, variable: str | None) -> bool:
    """Show each finding as soon as it is known; returns True if no check failed."""
    logs.configure(given.verbosity or _ERRORS_ALONE, given.log_file, daemon=False)
    findings = []
    place = partial(place_of, given.places[-1]) if given.places else None
    for finding in examined(lambda: mount_settings(given, variable), variable, place):
        findings.append(finding)
        if not given.json:
            say("\n".join(lines(finding)))
    if given.json:
        say_json([asdict(each) for each in findings])
    return all(each.verdict is not Verdict.FAILED for each in findings)
