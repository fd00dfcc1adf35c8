"""Which configuration files are read, and what in them is refused."""

import os
from pathlib import Path

import platformdirs
import pytest

from empirical_fs.errors import SetupError
from empirical_fs.settings.config_file import ConfigFile, read_file


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("refresh = 'soon'", "refresh: not a number of seconds: 'soon'"),
        ('key_file = "a\\u0000b"', "key_file has a character in it"),
        ("refresh = 'secret'", "refresh: not a number of seconds"),
        ("refresh = true", "refresh takes a text or a number"),
        ("cache = 1", "cache takes true or false"),
        ("offline = 'maybe'", "offline: not a switch: 'maybe'; write on or off"),
        ("cache_min_free = '101%'", "cache_min_free: must be 100% at most"),
        ("cache_dir = true", "cache_dir takes a text or a number"),
        ("memory = '1K'", "memory: must be 1M or more"),
        ("url_ttl = 3600", "url_ttl: must be under 3600"),
        ("key = 'secret'", "key_file"),
        ("colour = 'blue'", "no setting 'colour'"),
        ("options = 5", "a text or a list of texts"),
        ("options = [5]", "a text or a list of texts"),
        ("profiles = 5", "[profiles.NAME]"),
        ("[profiles]\nstaging = 5", "[profiles.NAME]"),
        ("[profiles.staging]\nkey = 'secret'", "[profiles.staging]: there is no setting 'key'"),
        ("refresh =", "is no TOML"),
        ("\xff", "is not in UTF-8"),
        (f"refresh = {'9' * 5000}", "is no TOML: a number"),
        (f"refresh = 0x{'f' * 5000}", "refresh takes a smaller number"),
        (f"timeout = -0x{'f' * 5000}", "is no TOML"),
        ("timeout = 1e10", "timeout: must be a year at most"),
        ("timeout = '1_0'", "timeout: not a number of seconds"),
        ("key_file = ''", "key_file: is empty"),
        ('options = "fsname=a\\u0000b"', "options has a character in it"),
        ("a = " + "[" * 5000, "is no TOML"),
        ("a" + ".a" * 100 + " = 1", "has a line with more than 64 dots"),
        ("#" * 70_000, "is larger than a configuration file may be (64 KiB)"),
    ],
)
def test_what_is_wrong_in_the_file(tmp_path: Path, text: str, phrase: str) -> None:
    """One line says what is wrong, and where; what may be a secret is not shown."""
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(SetupError) as caught:
        read_file(path, "staging" if "staging" in text else None)
    assert phrase in str(caught.value)
    assert str(path) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_many_profiles_and_not_that_one(tmp_path: Path) -> None:
    """A few of them are named, not all."""
    path = tmp_path / "config.toml"
    path.write_text("".join(f"[profiles.p{number:04}]\n" for number in range(2000)))
    with pytest.raises(SetupError) as caught:
        read_file(path, "q")
    assert str(caught.value).endswith("p0008, p0009 and 1990 more")


def test_no_file(tmp_path: Path, config: Path) -> None:
    """A file that was named must be there, and have the profile; the default one need not."""
    with pytest.raises(SetupError, match="no configuration file"):
        read_file(tmp_path / "elsewhere.toml", None)
    with pytest.raises(SetupError, match="no profile 'live'; it has: home, staging"):
        read_file(config, "live")
    with pytest.raises(SetupError, match="cannot read"):
        read_file(tmp_path, None)


def test_the_default_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is where the XDG specification says."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert read_file(None, None) == ConfigFile({})
    with pytest.raises(SetupError, match="no configuration file"):
        read_file(None, "staging")
    (tmp_path / "empirical-fs").mkdir()
    (tmp_path / "empirical-fs" / "config.toml").write_text("timeout = 7")
    assert read_file(None, None).values["timeout"].value == 7


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has none, and no entry of passwd, has no configuration file: none below the current directory."""

    def know_no_home(_path: str) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_config_path", know_no_home)
    assert read_file(None, None) == ConfigFile({})
    with pytest.raises(SetupError, match=r"no home directory .* --config"):
        read_file(None, "staging")


def test_a_home_that_nobody_has(config: Path) -> None:
    """A file below the home of no user is said to be none, and where it is named."""
    config.write_text('key_file = "~no-such-user/key"')
    with pytest.raises(SetupError, match=r"config\.toml: key_file: .*no-such-user"):
        read_file(config, None)


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602, 0o664, 0o777])
def test_a_file_that_others_can_write(config: Path, mode: int) -> None:
    """Who can write it decides where the key goes, so it is refused, with the cure."""
    config.chmod(mode)
    with pytest.raises(SetupError, match=r"others than you can write .* chmod go-w"):
        read_file(config, None)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o444, 0o755])
def test_a_file_that_others_can_read(config: Path, mode: int) -> None:
    """It holds no secret."""
    config.chmod(mode)
    assert read_file(config, None).values["refresh"].value == 30


@pytest.mark.parametrize("is_default", [True, False])
@pytest.mark.parametrize("what", ["file", "folder", "link"])
@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, *, is_default: bool
) -> None:
    """Neither the file nor its folder may be another user's, whoever says where it is (sudo may)."""
    folder = tmp_path / "empirical-fs"
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text("refresh = 30")
    if what == "link":
        config.rename(tmp_path / "own.toml")
        config.symlink_to(tmp_path / "own.toml")
    os.chown(config if what == "file" else folder, 65534, 65534)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(SetupError, match="belongs to another user"):
        read_file(None if is_default else config, None)


def test_a_folder_that_everybody_can_write(config: Path) -> None:
    """There somebody else can put another file in its place; not so where the sticky bit is set."""
    config.parent.chmod(0o777)
    with pytest.raises(SetupError, match="chmod o-w"):
        read_file(config, None)
    config.parent.chmod(0o1777)
    assert read_file(config, None).values["refresh"].value == 30


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_folder_that_a_group_can_write(config: Path) -> None:
    """Not if somebody else may be in it."""
    config.parent.chmod(0o775)
    assert read_file(config, None).values["refresh"].value == 30
    os.chown(config.parent, 0, 12345)
    with pytest.raises(SetupError, match="chmod g-w"):
        read_file(config, None)


def test_a_key_in_place_of_the_name_of_a_file() -> None:
    """A lone word that is no file is not shown."""
    with pytest.raises(SetupError, match="no configuration file of that name"):
        read_file(Path("key-0123456789"), None)
