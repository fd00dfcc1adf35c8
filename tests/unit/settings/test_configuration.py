"""What the user asked for, from flags, environment and file: which one wins, and what is refused."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from empirical_fs.errors import SetupError, UsageError
from empirical_fs.settings.config_file import ConfigFile, read_file
from empirical_fs.settings.configuration import (
    Configuration,
    choice,
    machine_defaults,
    resolve,
)
from empirical_fs.settings.options import Value


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
        "metrics": {"value": "-", "source": "default"},
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


def test_an_address_for_metrics(config: Path) -> None:
    """It is a number or a text in the file, a mount option, or a variable, and shown as it is written."""
    config.write_text("metrics = 9000")
    assert found(config).shown["metrics"] == {"value": "127.0.0.1:9000", "source": str(config)}
    variable = found(config, EMPIRICAL_METRICS="[::1]:9001")
    assert variable.shown["metrics"] == {"value": "[::1]:9001", "source": "EMPIRICAL_METRICS"}
    assert found(config, options=("metrics=0.0.0.0:9002",)).shown["metrics"]["value"] == "0.0.0.0:9002"
    with pytest.raises(UsageError, match="EMPIRICAL_METRICS: must be a port from 1"):
        found(config, EMPIRICAL_METRICS="0")


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


@pytest.mark.parametrize(("flags", "memory"), [({}, 32 * 2**20), ({"memory": 2**20}, 2**20)])
def test_a_container_with_a_limit(flags: dict[str, int], memory: int) -> None:
    """What nobody gives follows the limit, and says so; what somebody gives is as given."""
    defaults = machine_defaults(128 * 2**20)
    found = resolve(flags, [], {}, ConfigFile({}), defaults)
    assert found["memory"] == memory
    assert found.shown["memory"]["source"] == ("--memory" if flags else "the container's limit of 128 MiB")
    assert machine_defaults(None) == machine_defaults(2**40) == {}
