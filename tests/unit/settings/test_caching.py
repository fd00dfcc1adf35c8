"""The options of the cache on disk: how switches are given, and where the cache is."""

from pathlib import Path

import platformdirs
import pytest

from empirical_fs.errors import SetupError, UsageError
from empirical_fs.settings.caching import CacheSettings, cache_settings
from empirical_fs.settings.config_file import ConfigFile, read_file
from empirical_fs.settings.configuration import Configuration, resolve
from empirical_fs.settings.options import Value
from empirical_fs.settings.values import MinFree, parse_min_free

MOUNTPOINT = Path("/mnt/resources")


def found(options: str = "", file: ConfigFile | None = None, **flags: object) -> Configuration:
    return resolve(flags, (options,), {}, file or ConfigFile({}), {})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


@pytest.mark.parametrize("text", ["cache", "cache=on", "cache=true", "cache=ON"])
def test_a_switch_among_the_mount_options(text: str) -> None:
    """Its name turns it on, as with every mount option, or a word does."""
    given = found(f"{text},noatime")
    assert given.values["cache"] == Value(True, "-o cache")  # noqa: FBT003
    assert given.mount_options == ("noatime",)
    assert given.shown["cache"] == {"value": "on", "source": "-o cache"}


def test_an_option_that_takes_a_value_is_no_switch() -> None:
    """Without its value it goes to libfuse, which says that there is no such option."""
    assert found("cache_dir").mount_options == ("cache_dir",)


@pytest.mark.parametrize(
    ("text", "is_on"), [("true", True), ("false", False), ("'on'", True), ("'off'", False)]
)
def test_a_switch_in_the_file(config: Path, text: str, is_on: bool) -> None:  # noqa: FBT001
    """It is true or false there, or one of the words."""
    config.write_text(f"cache = {text}")
    assert found(file=read_file(config, None)).values["cache"] == Value(is_on, str(config))


def test_a_switch_is_turned_off_again(config: Path) -> None:
    """What the file turns on, a mount option turns off."""
    config.write_text("cache = true")
    assert found("cache=off", read_file(config, None))["cache"] is False


def test_a_folder_turns_the_cache_on(config: Path) -> None:
    """Unless the cache is turned off where the folder is given, or by what counts before that."""
    assert found(cache_dir=Path("/c")).values["cache"] == Value(True, "--cache-dir")  # noqa: FBT003
    config.write_text("cache = false")
    assert found("cache_dir=/c", read_file(config, None))["cache"] is True
    config.write_text("cache = false\ncache_dir = '/c'")
    assert found(file=read_file(config, None))["cache"] is False
    config.write_text("cache_dir = '/c'")
    assert found("cache=off", read_file(config, None))["cache"] is False


def test_off_by_default() -> None:
    """It puts documents on the disk, so nobody has it who did not ask for it."""
    assert cache_settings(found(), MOUNTPOINT) is None


def test_the_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is where the XDG specification says."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = cache_settings(found(cache=True), MOUNTPOINT)
    assert settings == CacheSettings(tmp_path / "empirical-fs", 10 * 2**30, MinFree(percent=5))


def test_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no home directory must name a folder."""

    def know_no_home(_path: str) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_cache_path", know_no_home)
    with pytest.raises(SetupError, match=r"no home directory is known.*; give --cache-dir"):
        cache_settings(found(cache=True), MOUNTPOINT)


def test_a_folder_in_the_mount() -> None:
    """The mount would wait for itself."""
    with pytest.raises(UsageError, match="cannot be in the mount itself"):
        cache_settings(found(cache_dir=MOUNTPOINT / "cache"), MOUNTPOINT)


def test_offline_needs_the_cache() -> None:
    """There is nothing else to start from."""
    with pytest.raises(UsageError, match="--offline needs the cache on disk; give --cache or --cache-dir"):
        cache_settings(found(offline=True), MOUNTPOINT)
    assert cache_settings(found("offline", cache_dir=Path("/c")), MOUNTPOINT) is not None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("5%", MinFree(percent=5)),
        ("2.5%", MinFree(percent=2.5)),
        ("0", MinFree()),
        ("2G", MinFree(bytes=2 * 2**30)),
    ],
)
def test_what_is_left_free(text: str, meant: MinFree) -> None:
    """It is a size, or a share of the disk; what is shown means the same."""
    assert parse_min_free(text) == meant
    assert parse_min_free(str(meant)) == meant
