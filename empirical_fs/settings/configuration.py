"""Merges the settings and their sources: flags before the environment, the file and the defaults."""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs

from empirical_fs.errors import SetupError, UsageError
from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.settings.memory_limit import default_budget
from empirical_fs.settings.mount_options import split
from empirical_fs.settings.named_files import read_named
from empirical_fs.settings.options import OPTIONS, Option
from empirical_fs.settings.trust import check_decisive, check_folder
from empirical_fs.settings.values import (
    API_URL_VARIABLE,
    DEFAULT,
    WrongValue,
    looks_like_a_word,
    parse_memory,
)

_PROFILES = "profiles"
_CHOICES = ("config", "profile")
_ON, _OFF = "on", "off"
"""How a switch is written, and shown."""
_FILE_MAX = 64 * 2**10
_KIB, _MIB = 2**10, 2**20
_DOTS_MAX = 64
"""In a line. To parse a key takes a time that grows with the square of its dots."""
_NAMED_MAX = 10
"""Profiles that a message lists."""
_INTEGER_MAX = 2**63 - 1


MOUNT_OPTIONS = "options"
"""The setting of the file that corresponds to `-o`: a text, or a list of texts."""


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a setting, and its source: a flag, a variable, a file or the default."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """The values of all settings, and the mount options."""

    values: Mapping[str, Value]
    mount_options: tuple[str, ...]
    """The texts of every `-o`; later ones take precedence."""
    unused_key: str | None = None
    """The source of a key file that is not used, since the key is in the environment."""
    unused_api: str | None = None
    """The source of another API URL that is not used, since one is in the environment."""

    def __getitem__(self, name: str) -> Any:
        """The value of a setting."""
        return self.values[name].value

    @property
    def api_url_from(self) -> str:
        """What the user must check if the API's URL is wrong: its source, or else the flag for it."""
        source = self.values["api_url"].source
        return OPTIONS["api_url"].flag if source == DEFAULT else source

    @property
    def shown(self) -> dict[str, dict[str, str]]:
        """The settings as texts with their sources, to be shown; none of them is secret."""
        return {
            name: {"value": _shown(given.value), "source": given.source}
            for name, given in self.values.items()
        }

    @property
    def surprises(self) -> list[str]:
        """Which settings of the file the environment overrides, which the user may not expect."""
        said = [] if self.unused_key is None else [f"the key is that of {self.key_origin}"]
        if self.unused_api is not None:
            other = f"api_url of {self.unused_api} (to use that: unset {API_URL_VARIABLE})"
            said.append(f"the API is that of {API_URL_VARIABLE}, which takes precedence over {other}")
        return said

    @property
    def key_origin(self) -> str:
        """Where the key comes from; if two are given, which one is used."""
        file = self.values["key_file"]
        if file.value is not None:
            return f"{file.value}, by {file.source}"
        if self.unused_key is None:
            return KEY_VARIABLE
        other = f"key_file of {self.unused_key} (to use that: unset {KEY_VARIABLE})"
        return f"{KEY_VARIABLE}, which takes precedence over {other}"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The settings of a configuration file for one profile."""

    values: Mapping[str, Value]
    mount_options: tuple[str, ...] = ()


def default_path() -> Path | None:
    """The default path of the configuration file (XDG Base Directory Specification).

    None if the user has no home directory, for example in a container.
    """
    try:
        path = platformdirs.user_config_path("empirical-fs") / "config.toml"
    except RuntimeError:
        return None
    # Some versions of platformdirs leave a relative path, or the `~` of an unknown home, as it is.
    return path if path.is_absolute() else None


def read_file(path: Path | None, profile: str | None) -> ConfigFile:
    """Read the general settings of the file, and those of `profile`.

    Without a path the default file is read, which need not exist.

    Raises:
        SetupError: it cannot be read, is not a valid configuration file, or has no such profile.
    """
    place = path or default_path()
    if place is None:
        if profile is not None:
            raise SetupError(
                "no home directory is known, so there is no configuration file", advice="give --config FILE"
            )
        return ConfigFile({})
    document = _document(place, is_needed=path is not None or profile is not None)
    profiles = document.pop(_PROFILES, {})
    if not isinstance(profiles, dict) or not all(isinstance(each, dict) for each in profiles.values()):
        raise UsageError(f"{place}: write each profile as [profiles.NAME]")
    sections = [(document, str(place))]
    if profile is not None:
        # The command line is in the encoding of the locale, the file is in UTF-8.
        profile = os.fsencode(profile).decode(errors="surrogateescape")
        if profile not in profiles:
            known = ", ".join(sorted(profiles)[:_NAMED_MAX]) or "none"
            known += f" and {len(profiles) - _NAMED_MAX} more" if len(profiles) > _NAMED_MAX else ""
            misspelt = "profile" in document and not profiles
            advice = "write it as [profiles.NAME], not [profile.NAME]" if misspelt else f"it has: {known}"
            raise UsageError(f"{place} has no profile {profile!r}", advice=advice)
        sections.append((profiles[profile], f"{place} [profiles.{profile}]"))
    values: dict[str, Value] = {}
    mount_options: list[str] = []
    for section, source in sections:
        for name, given in section.items():
            if name == MOUNT_OPTIONS:
                mount_options += _texts(given, source)
            else:
                values[name] = _from_file(name, given, source, place.parent)
    return ConfigFile(values, tuple(mount_options))


def resolve(
    flags: Mapping[str, Any],
    options: Iterable[str],
    environment: Mapping[str, str],
    file: ConfigFile,
    defaults: Mapping[str, Value],
) -> Configuration:
    """Merge the settings by their precedence.

    Args:
        flags: the values of the flags that were given.
        options: the texts of every `-o`; they may contain settings, which fstab(5) can only give there.
        environment: the environment variables; the key's value is not used, only whether it is empty.
        file: the settings of the configuration file.
        defaults: defaults that depend on this machine (`machine_defaults`).

    Raises:
        SetupError: a value that is used is not valid.
    """
    in_options, rest = _taken_from(options)

    def from_flag(option: Option) -> Value | None:
        value = flags.get(option.name)
        return None if value is None else Value(value, option.flag)

    def from_options(option: Option) -> Value | None:
        text = in_options.get(option.name)
        return None if text is None else _parsed(option, text, f"-o {option.name}", UsageError)

    def from_environment(option: Option) -> Value | None:
        text = None if option.variable is None else environment.get(option.variable)
        if not text or option.variable is None:
            return None
        # The variable may hold the key itself, which must not be shown.
        is_key = option.variable == KEY_VARIABLE
        return Value(None, KEY_VARIABLE) if is_key else _parsed(option, text, option.variable)

    def from_file(option: Option) -> Value | None:
        return file.values.get(option.name)

    def by_default(option: Option) -> Value:
        value = None if option.default is None else option.parse(option.default)
        return defaults.get(option.name, Value(value, DEFAULT))

    values: dict[str, Value] = {}
    ranks: dict[str, int] = {}
    for name, option in OPTIONS.items():
        for rank, source in enumerate((from_flag, from_options, from_environment, from_file, by_default)):
            if (value := source(option)) is not None:
                values[name], ranks[name] = value, rank
                break
    for name, option in OPTIONS.items():
        if option.turns_on is not None and ranks[name] < ranks[option.turns_on]:
            values[option.turns_on] = Value(True, values[name].source)  # noqa: FBT003 - what it means is its name
    is_in_environment = values["key_file"].source == KEY_VARIABLE
    unused_key = file.values["key_file"].source if is_in_environment and "key_file" in file.values else None
    api, named = values["api_url"], file.values.get("api_url")
    is_other = named is not None and api.source == API_URL_VARIABLE and named.value != api.value
    unused_api = named.source if named is not None and is_other else None
    return Configuration(values, (*file.mount_options, *rest), unused_key, unused_api)


def machine_defaults(limit: int | None) -> dict[str, Value]:
    """The defaults that depend on the machine; `limit` is the memory in bytes that the process may use."""
    budget = default_budget(limit)
    if limit is None or budget == parse_memory(OPTIONS["memory"].default or ""):
        return {}
    return {"memory": Value(budget, f"the container's limit of {limit // _MIB} MiB")}


def choice(given: Path | str | None, name: str, options: Iterable[str]) -> str | None:
    """The profile or the configuration file, as `name` says: from its flag, else from `-o`, else None.

    Raises:
        UsageError: `-o` gives an empty one.
    """
    if given is not None:
        return str(given)
    ours, _ = _taken_from(options)
    if ours.get(name) == "":
        raise UsageError(f"-o {name} is empty")
    return ours.get(name)


def _taken_from(options: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Split the mount options into our settings (with `config` and `profile`) and the others."""
    ours, rest = {}, []
    for item in split(options):
        name, equals, text = item.partition("=")
        option = OPTIONS.get(name)
        if equals and (option is not None or name in _CHOICES):
            ours[name] = text
        elif option is not None and option.is_switch:
            ours[name] = _ON
        else:
            rest.append(item)
    return ours, rest


def _shown(value: object) -> str:
    """A value as text; none of them is secret."""
    if isinstance(value, bool):
        return _ON if value else _OFF
    return "-" if value is None else str(value)


def _parsed(option: Option, text: str, source: str, wrong: type[SetupError] = UsageError) -> Value:
    try:
        return Value(option.parse(text), source)
    except WrongValue as error:
        raise wrong(f"{source}: {error.trouble.what}", advice=error.trouble.advice) from error


def _document(place: Path, *, is_needed: bool) -> dict[str, Any]:
    try:
        content = read_named(place, _FILE_MAX + 1, partial(_check_trust, place))
        if len(content) > _FILE_MAX:
            raise SetupError(f"{place} is larger than a configuration file may be ({_FILE_MAX // _KIB} KiB)")
        if any(line.count(b".") > _DOTS_MAX for line in content.splitlines()):
            raise SetupError(f"{place} has a line with more than {_DOTS_MAX} dots")
        return tomllib.loads(content.decode())
    except FileNotFoundError as error:
        if is_needed:
            # A single word may be a key that was given by mistake, so it is not shown.
            named = f" {place}" if place.suffix or len(place.parts) > 1 else " of that name"
            raise SetupError(f"there is no configuration file{named}") from error
        return {}
    except OSError as error:
        # Under sudo -u, HOME often is another user's directory.
        if not is_needed and not os.access(place.parent, os.X_OK):
            return {}
        raise SetupError(f"cannot read {place}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SetupError(f"{place} is not in UTF-8, as TOML is") from error
    except (ValueError, RecursionError) as error:
        # Python limits the digits of a number, and its message about that is for programmers.
        reason = (
            str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a number or a nesting is too long"
        )
        raise SetupError(f"{place} is no TOML: {reason}") from error


def _check_trust(place: Path, descriptor: int) -> None:
    """Check that only we and root can write this file, which decides where the key is sent.

    Raises:
        SetupError: other users can write it.
    """
    check_decisive(os.fstat(descriptor), "configuration file", str(place))
    # The file may be a symbolic link into a folder of dotfiles: check both folders.
    for folder in {place.absolute().parent, place.resolve().parent}:
        check_folder(folder.stat(), "folder of the configuration file", str(folder))


def _check_characters(name: str, text: str, source: str) -> None:
    if "\0" in text:
        raise UsageError(f"{source}: {name} has a character in it (NUL) that no setting may have")


def _texts(given: object, source: str) -> list[str]:
    given = given if isinstance(given, list) else [given]
    texts = [text for text in given if isinstance(text, str)]
    if len(texts) < len(given):
        raise UsageError(f"{source}: write options as a text or a list of texts")
    for text in texts:
        _check_characters(MOUNT_OPTIONS, text, source)
    return texts


def _from_file(name: str, given: object, source: str, folder: Path) -> Value:
    option = OPTIONS.get(name)
    if option is None:
        advice = (
            "write the key into a file of its own, and its name as key_file"
            if name == "key"
            else f"there are: {', '.join([*OPTIONS, MOUNT_OPTIONS])}"
        )
        # An unknown name may be a key, so it is shown only if it cannot be one.
        named = f" {name!r}" if looks_like_a_word(name) else " of such a name"
        raise UsageError(f"{source}: there is no setting{named}", advice=advice)
    if option.is_switch and isinstance(given, bool):
        return Value(given, source)
    if option.is_switch and not isinstance(given, str):
        raise UsageError(f"{source}: {name} takes true or false")
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise UsageError(f"{source}: {name} takes a text or a number")
    if isinstance(given, int) and abs(given) > _INTEGER_MAX:
        # The largest integer that TOML requires (v1.0.0); Python refuses to print much larger ones.
        raise UsageError(f"{source}: {name} takes a smaller number")
    text = str(given)
    _check_characters(name, text, source)
    value = _parsed(option, text, f"{source}: {name}").value
    if not isinstance(value, Path):
        return Value(value, source)
    # The file is in UTF-8, and so are file names in it, whatever the locale is.
    value = Path(os.fsdecode(text.encode()))
    try:
        # A relative path in the file is relative to the file's folder.
        return Value(folder / value.expanduser(), source)
    except RuntimeError as error:
        raise SetupError(f"{source}: {name}: no home directory is known for {value}") from error
