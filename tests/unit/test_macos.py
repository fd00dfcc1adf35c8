"""As far as Linux can tell what macOS would want."""

from typing import NamedTuple

from empirical_fs.macos import fuse_options, unmount_command
from empirical_fs.mount.mount_table import from_partitions
from empirical_fs.settings.mount_options import parse_mount_options


class Partition(NamedTuple):
    device: str
    mountpoint: str
    fstype: str


def test_options() -> None:
    """What only Linux knows is left out; Finder has a name to show, and looks for no second files."""
    given = parse_mount_options(["nonempty,remote,allow_other,max_background=5"]).fuse
    options = fuse_options(given, "Empirical a,b")
    assert {"subtype", "nonempty", "max_background"}.isdisjoint(options)
    assert options["volname"] == "Empirical a b"
    wanted = ("ro", "nosuid", "nodev", "allow_other", "noappledouble", "noapplexattr", "default_permissions")
    assert all(options[name] is True for name in wanted)


def test_a_name_of_the_users_choice() -> None:
    """Who gives the volume a name has it."""
    given = parse_mount_options(["volname=Mine"]).fuse
    assert fuse_options(given, "Empirical")["volname"] == "Mine"


def test_unmounting() -> None:
    """There is no lazy way, only a forced one."""
    assert unmount_command("/mnt", lazy=False) == ["umount", "/mnt"]
    assert unmount_command("/mnt", lazy=True) == ["umount", "-f", "/mnt"]


def test_the_table_of_mounts() -> None:
    """A mount is ours by its source, whatever macFUSE or FUSE-T call its type."""
    partitions = [
        Partition("/dev/disk1s1", "/", "apfs"),
        Partition("empirical:dash.empirical.run", "/Volumes/a b", "macfuse"),
        Partition("me@host:", "/Volumes/c", "macfuse"),
    ]
    mounts = from_partitions(partitions)
    assert [mount.mountpoint for mount in mounts if mount.is_ours] == ["/Volumes/a b"]
