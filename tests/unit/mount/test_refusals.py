"""A mount that was refused: the line names the cause and says what to do."""

from pathlib import Path

import pytest

from empirical_fs.doctor.diagnoses import Verdict, of_confinement, of_number
from empirical_fs.mount.refusals import Surroundings, is_allowed, mount_max, refusal

USER, ROOT = Surroundings(is_root=False), Surroundings(is_root=True)
CONFINED = Surroundings(is_root=False, has_profile=True)
REFUSED = "fusermount3: mount failed: Permission denied"
PLACE = Path("/srv/data/resources")


@pytest.mark.parametrize(
    ("said", "around", "phrases"),
    [
        (REFUSED, CONFINED, ("/etc/apparmor.d/local/fusermount3", "/mnt", "/srv/**/", "apparmor_parser -r")),
        (REFUSED, USER, ("docker run",)),
        (REFUSED, ROOT, ("docker run",)),
        (REFUSED, Surroundings(is_root=False, is_selinux_enforcing=True), ("SELinux", "ausearch")),
        (REFUSED, Surroundings(is_root=False, has_set_uid=False), ("chmod u+s",)),
        (REFUSED, Surroundings(is_root=False, has_set_uid_effect=False), ("NoNewPrivileges",)),
        ("option allow_other only allowed if 'user_allow_other' is set", USER, ("/etc/fuse.conf",)),
        (
            "too many FUSE filesystems mounted; mount_max=N can be set in x",
            USER,
            ("mount_max = N", "unmount"),
        ),
        ("fuse: failed to open /dev/fuse: Permission denied", USER, ("chmod 666", "nodev")),
        ("fuse: failed to exec fusermount3: Permission denied", USER, ("noexec",)),
        ("mounting over filesystem type 0x01021997 is forbidden", USER, ("a disk of this machine",)),
        ("mountpoint /tmp not owned by user", USER, ("of your own",)),
        ("user has no write access to mountpoint /x", USER, ("of your own",)),
        ("", USER, ("did not say why",)),
        ("something new", USER, ("something new",)),
    ],
)
def test_advice(said: str, around: Surroundings, phrases: tuple[str, ...]) -> None:
    """Each refusal names what stands in the way, and what to change."""
    line = str(refusal(said, PLACE, around))
    assert [phrase for phrase in phrases if phrase not in line] == []
    assert around is not CONFINED or "docker" not in line


@pytest.mark.parametrize(
    ("place", "allowed"),
    [
        ("/home/me/resources", True),
        ("/home/me", False),
        ("/mnt/a/b", True),
        ("/media/me/x", True),
        ("/tmp/x", True),
        ("/run/user/1000/x", True),
        ("/srv/x", False),
        ("/mntx/y", False),
    ],
)
def test_the_profile(place: str, *, allowed: bool) -> None:
    """Where AppArmor's profile lets users mount, and what the doctor says of that."""
    assert is_allowed(Path(place)) == allowed
    found = of_confinement(Path(place), CONFINED)
    assert found.verdict is (Verdict.OK if allowed else Verdict.FAILED)
    assert of_confinement(Path(place), ROOT).verdict is Verdict.OK
    assert allowed or "/etc/apparmor.d/local/fusermount3" in (found.advice or "")
    assert of_confinement(None, CONFINED).verdict is Verdict.OK


def test_how_many() -> None:
    """fuse.conf says how many FUSE mounts there may be, as fusermount reads it; root needs no leave."""
    assert mount_max("#mount_max = 5\n") == 1000
    assert mount_max("user_allow_other\nmount_max = 5\n") == 5
    assert mount_max("mount_max=5\n") == 1000
    assert of_number(5, 5, is_root=False).verdict is Verdict.FAILED
    assert of_number(5, 5, is_root=True).verdict is Verdict.OK
    assert of_number(4, 5, is_root=False).verdict is Verdict.OK
