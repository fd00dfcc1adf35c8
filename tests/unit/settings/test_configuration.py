"""What the user asked for, from flags, environment and file: which one wins, and what is refused."""

import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs
import pytest

from empirical_fs.errors import SetupError, UsageError
from empirical_fs.settings.configuration import (
    ConfigFile,
    Configuration,
    Value,
    choice,
    machine_defaults,
    read_file,
    resolve,
)

FILE = """
refresh = 30
memory = "512M"
options = "allow_other"

[profiles.staging]
api_url = "https://staging.example.org"
key_file = "staging.key"
refresh = 5.5
options = ["uid=5", "gid=6"]

[profiles.home]
key_file = "~/key"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return path


def found(
    config: Path | None = None,
    profile: str | None = None,
    flags: Mapping[str, object] | None = None,
    options: tuple[str, ...] = (),
    **environment: str,
) -> Configuration:
    file = ConfigFile({}) if config is None else read_file(config, profile)
    return resolve(flags or {}, options, environment, file, {})


def test_defaults() -> None:
    """Without anything given, every setting has the value that the documentation says."""
    by_default = found()
    assert by_default.shown == {
        "api_url": {"value": "https://dash.empirical.run", "source": "default"},
        "key_file": {"value": "-", "source": "default"},
        "refresh": {"value": "60.0", "source": "default"},
        "url_ttl": {"value": "3000.0", "source": "default"},
        "memory": {"value": str(256 * 2**20), "source": "default"},
        "siblings": {"value": str(256 * 2**10), "source": "default"},
        "timeout": {"value": "30.0", "source": "default"},
        "cache": {"value": "off", "source": "default"},
        "cache_dir": {"value": "-", "source": "default"},
        "cache_size": {"value": str(10 * 2**30), "source": "default"},
        "cache_min_free": {"value": "5%", "source": "default"},
        "offline": {"value": "off", "source": "default"},
        "log_file": {"value": "-", "source": "default"},
    }
    assert by_default.mount_options == ()


def test_precedence(config: Path) -> None:
    """A flag counts before a mount option, that before the environment, and that before the file."""
    variable = {"EMPIRICAL_API_URL": "https://variable.example.org"}
    given = found(config, "staging", {"refresh": 1.0}, ("refresh=2,timeout=3", "noatime"), **variable)
    assert given.values["refresh"] == Value(1.0, "--refresh")
    assert given.values["timeout"] == Value(3.0, "-o timeout")
    assert given.values["api_url"] == Value("https://variable.example.org", "EMPIRICAL_API_URL")
    assert given.values["memory"] == Value(2**29, str(config))
    assert given.values["siblings"] == Value(2**18, "default")
    assert given.mount_options == ("allow_other", "uid=5", "gid=6", "noatime")


def test_a_profile_before_what_is_for_everyone(config: Path) -> None:
    """A profile's values count before those at the top of the file."""
    assert found(config)["refresh"] == 30
    staging = found(config, "staging")
    assert staging.values["refresh"] == Value(5.5, f"{config} [profiles.staging]")
    assert staging["api_url"] == "https://staging.example.org"
    assert (staging["memory"], found(config, "home")["refresh"]) == (2**29, 30)


def test_files_named_in_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are meant as seen from the folder of the file, or from home."""
    monkeypatch.setenv("HOME", "/home/me")
    assert found(config, "staging")["key_file"] == config.parent / "staging.key"
    assert found(config, "home")["key_file"] == Path("/home/me/key")


def test_a_key_in_the_environment_before_a_key_file_of_the_file(config: Path) -> None:
    """The key counts as any other setting does, and is not shown."""
    given = found(config, "staging", EMPIRICALRUN_KEY="secret")
    assert given["key_file"] is None
    assert given.shown["key_file"] == {"value": "-", "source": "EMPIRICALRUN_KEY"}
    assert given.key_origin.startswith(f"EMPIRICALRUN_KEY, which takes precedence over key_file of {config}")
    by_flag = found(config, "staging", {"key_file": Path("mine")}, EMPIRICALRUN_KEY="secret")
    assert by_flag["key_file"] == Path("mine")
    assert by_flag.key_origin == "mine, by --key-file"
    assert found(EMPIRICALRUN_KEY="secret").key_origin == "EMPIRICALRUN_KEY"


def test_surprises(config: Path) -> None:
    """What the environment has in place of a profile is said, where it is something else."""
    assert found(config, "staging").surprises == []
    said = found(config, "staging", EMPIRICALRUN_KEY="secret", EMPIRICAL_API_URL="https://x.org").surprises
    assert [each.split(" is ")[0] for each in said] == ["the key", "the API"]
    assert "unset EMPIRICAL_API_URL" in said[1]
    same = found(config, "staging")["api_url"]
    assert found(config, "staging", EMPIRICAL_API_URL=same).surprises == []


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


@pytest.mark.parametrize(
    ("option", "phrase"),
    [
        ("refresh=soon", "-o refresh: not a number of seconds"),
        ("memory=", "-o memory: not a size"),
        ("cache=5", "-o cache: not a switch: '5'; write on or off"),
        ("cache_size=5%", "-o cache_size: not a size"),
        ("cache_min_free=-1", "-o cache_min_free: neither a size nor a percentage: '-1'"),
    ],
)
def test_what_is_wrong_elsewhere(option: str, phrase: str) -> None:
    """The line names the option."""
    with pytest.raises(SetupError, match=phrase):
        found(options=(option,))


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


def test_numbers_of_other_bases(config: Path) -> None:
    """A number of TOML counts, however it is written."""
    config.write_text("refresh = 0x10\nmemory = 0x1000_0000")
    assert found(config)["refresh"] == 16
    assert found(config)["memory"] == 2**28


@pytest.mark.parametrize("name", ["config", "profile"])
def test_an_empty_choice(name: str) -> None:
    """It is no default."""
    with pytest.raises(UsageError, match=f"-o {name} is empty"):
        choice(None, name, [f"{name}="])


def test_profile_and_file_among_the_mount_options() -> None:
    """As fstab(5) needs them; the flag counts before, and the mount does not hear of them."""
    options = ("profile=a,noatime", "profile=b,config=/etc/x.toml")
    assert choice(None, "profile", options) == "b"
    assert choice("c", "profile", options) == "c"
    assert choice(None, "config", options) == "/etc/x.toml"
    assert choice(None, "config", ()) is None
    assert found(options=options).mount_options == ("noatime",)


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
    config.write_text(FILE)
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


@pytest.mark.parametrize(("flags", "memory"), [({}, 32 * 2**20), ({"memory": 2**20}, 2**20)])
def test_a_container_with_a_limit(flags: dict[str, int], memory: int) -> None:
    """What nobody gives follows the limit, and says so; what somebody gives is as given."""
    defaults = machine_defaults(128 * 2**20)
    found = resolve(flags, [], {}, ConfigFile({}), defaults)
    assert found["memory"] == memory
    assert found.shown["memory"]["source"] == ("--memory" if flags else "the container's limit of 128 MiB")
    assert machine_defaults(None) == machine_defaults(2**40) == {}
