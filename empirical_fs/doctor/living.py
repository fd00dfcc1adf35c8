"""What the doctor learns from a running mount: it has a key and an API, which this shell may not have."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from empirical_fs.control import protocol
from empirical_fs.control.reloading import reload
from empirical_fs.doctor import diagnoses
from empirical_fs.doctor.attempts import attempt
from empirical_fs.doctor.diagnoses import API, CLOCK, KEY, STORE, Finding, Verdict
from empirical_fs.errors import EmpiricalError
from empirical_fs.mount import mount_table
from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.settings.values import DEFAULT
from empirical_fs.work.progress import unseen

_KEY = "key_file"
_UNASKED = "a mount does not report this"
_GIVE = f"to check it, set {KEY_VARIABLE} and the API, or give --key-file and --api-url"


@dataclass(frozen=True, slots=True)
class Living:
    """A mount of ours that answers. Its report may be forged by another user: show it, do not act on it."""

    place: Path
    report: Mapping[str, Any]

    @property
    def api_url(self) -> str:
        """The URL of the API that the mount uses."""
        return str(self.report["api_url"])

    @property
    def sources(self) -> str:
        """The settings of the mount that are not the defaults, each with its source, in one line."""
        settings: Mapping[str, Mapping[str, str]] = self.report["settings"]
        return diagnoses.sources(
            {name: each["source"] for name, each in settings.items() if each["source"] != DEFAULT}
        )

    @property
    def key_origin(self) -> str:
        """Where the key of the mount is from."""
        given: Mapping[str, str] = self.report["settings"].get(_KEY, {"value": "-", "source": "itself"})
        return given["source"] if given["value"] == "-" else f"{given['value']}, by {given['source']}"


def living(place: Path) -> Living | None:
    """Our mount at `place`, if there is one that answers; None if not.

    Raises:
        OSError: the kernel's table of mounts cannot be read.
    """
    mount = mount_table.mount_at(place)
    if mount is None or not mount.is_ours:
        return None
    report = attempt(lambda: protocol.ask(place, protocol.Command.STATUS), diagnoses.PATIENCE_MAX)
    return None if isinstance(report, EmpiricalError) else Living(place, report)


def passthrough_of(mount: Living | None) -> Finding | None:
    """The finding on whether the kernel reads cached files of a mount by itself; None if it does not say."""
    found = None if mount is None else mount.report.get("passthrough")
    return None if found is None else diagnoses.of_passthrough(found["off_because"])


def examine_by(mount: Living, patience: float) -> Iterator[Finding]:
    """The findings on the key, the API, the clock and the store, from a running mount.

    The mount fetches its listing for this; its key does not leave its process.
    """
    begun = time.monotonic()
    listed = attempt(lambda: reload(mount.place, unseen), patience)
    origin = f"that of the mount (from {mount.key_origin})"
    if isinstance(listed, EmpiricalError):
        yield Finding(KEY, Verdict.SKIPPED, f"{origin}; the mount has no listing", "see to the API first")
        yield diagnoses.of_error(
            API, listed, "check the network, the proxy variables and the key of the mount"
        )
    else:
        took = time.monotonic() - begun
        yield diagnoses.ok(KEY, f"{origin}, and the API accepts it")
        yield diagnoses.ok(API, f"{mount.api_url}: the mount has fetched its listing in {took:.2f} s")
    yield Finding(CLOCK, Verdict.SKIPPED, _UNASKED, _GIVE)
    away = mount.report["out_of_reach"]
    if away:
        yield Finding(STORE, Verdict.FAILED, f"out of reach: {', '.join(away)}", "check the network")
    else:
        yield Finding(STORE, Verdict.SKIPPED, "nothing is out of reach", _GIVE)
