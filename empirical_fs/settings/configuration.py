"""What the user asked for and where: flags before the environment, that before the file, and the defaults."""

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
_FILE_MAX = 64 * 2**10
_KIB, _MIB = 2**10, 2**20
_DOTS_MAX = 64
"""In a line. To parse a key takes a time that grows with the square of its dots."""
_NAMED_MAX = 10
"""Profiles that a message lists."""
_INTEGER_MAX = 2**63 - 1


MOUNT_OPTIONS = "options"
"""The setting of the file that stands for `-o`: a text, or a list of texts."""


@dataclass(frozen=True, slots=True)
class Value:
    """A setting, and who said so."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """Every setting with a value, and the mount options."""

    values: Mapping[str, Value]
    mount_options: tuple[str, ...]
    """The texts of every `-o`, the most important last."""
    unused_key: str | None = None
    """Who named a key file that does not count, as the key is in the environment."""
    unused_api: str | None = None
    """Who named another API, which does not count, as one is in the environment."""

    def __getitem__(self, name: str) -> Any:
        """The value of a setting."""
        return self.values[name].value

    @property
    def api_url_from(self) -> str:
        """Who said where the API is, or can: for who is to look at it again."""
        source = self.values["api_url"].source
        return OPTIONS["api_url"].flag if source == DEFAULT else source

    @property
    def shown(self) -> dict[str, dict[str, str]]:
        """The settings as texts, with their sources, to be shown; none of them is a secret."""
        return {
            name: {"value": "-" if given.value is None else str(given.value), "source": given.source}
            for name, given in self.values.items()
        }

    @property
    def surprises(self) -> list[str]:
        """What of the environment counts before the file, where who wrote that may not think of it."""
        said = [] if self.unused_key is None else [f"the key is that of {self.key_origin}"]
        if self.unused_api is not None:
            other = f"api_url of {self.unused_api} (to use that: unset {API_URL_VARIABLE})"
            said.append(f"the API is that of {API_URL_VARIABLE}, which counts before {other}")
        return said

    @property
    def key_origin(self) -> str:
        """Where the key is from; of two keys, which one counts."""
        file = self.values["key_file"]
        if file.value is not None:
            return f"{file.value}, by {file.source}"
        if self.unused_key is None:
            return KEY_VARIABLE
        other = f"key_file of {self.unused_key} (to use that: unset {KEY_VARIABLE})"
        return f"{KEY_VARIABLE}, which counts before {other}"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a configuration file says for one profile."""

    values: Mapping[str, Value]
    mount_options: tuple[str, ...] = ()


def default_path() -> Path | None:
    """Where the configuration file is, if there is one (XDG Base Directory Specification).

    None for who has no home directory, in a container say.
    """
    try:
        path = platformdirs.user_config_path("empirical-fs") / "config.toml"
    except RuntimeError:
        return None
    # Versions of platformdirs leave the `~` of a home that nobody knows, or a relative path, as it is.
    return path if path.is_absolute() else None


def read_file(path: Path | None, profile: str | None) -> ConfigFile:
    """What the file says for everyone, and for `profile` in particular.

    Without a path, the default one, which need not be there.

    Raises:
        SetupError: it cannot be read, is no such file, or has no such profile.
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
        # What the command line has in the encoding of the locale, the file has in UTF-8.
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
    """The settings by their precedence.

    Args:
        flags: the values of the flags that were given.
        options: the texts of every `-o`; settings may be among the mount options, as fstab(5) needs them.
        environment: the environment variables; of the key's it only matters that it is not empty.
        file: what the configuration file says.
        defaults: what this machine makes of settings that nobody gives.

    Raises:
        SetupError: a value that none of the others replaces is none.
    """
    in_options, rest = _taken_from(options)
    values = {}
    for name, option in OPTIONS.items():
        if flags.get(name) is not None:
            values[name] = Value(flags[name], option.flag)
        elif name in in_options:
            values[name] = _parsed(option, in_options[name], f"-o {name}", UsageError)
        elif option.variable == KEY_VARIABLE and environment.get(KEY_VARIABLE):
            # The key itself, which is no setting to be shown.
            values[name] = Value(None, KEY_VARIABLE)
        elif option.variable is not None and environment.get(option.variable):
            values[name] = _parsed(option, environment[option.variable], option.variable)
        elif name in file.values:
            values[name] = file.values[name]
        elif name in defaults:
            values[name] = defaults[name]
        else:
            values[name] = Value(None if option.default is None else option.parse(option.default), DEFAULT)
    is_in_environment = values["key_file"].source == KEY_VARIABLE
    unused_key = file.values["key_file"].source if is_in_environment and "key_file" in file.values else None
    api, named = values["api_url"], file.values.get("api_url")
    is_other = named is not None and api.source == API_URL_VARIABLE and named.value != api.value
    unused_api = named.source if named is not None and is_other else None
    return Configuration(values, (*file.mount_options, *rest), unused_key, unused_api)


def machine_defaults(limit: int | None) -> dict[str, Value]:
    """What a limit of the memory makes of the settings that nobody gives: bytes that the process may have."""
    budget = default_budget(limit)
    if limit is None or budget == parse_memory(OPTIONS["memory"].default or ""):
        return {}
    return {"memory": Value(budget, f"the container's limit of {limit // _MIB} MiB")}


def choice(given: Path | str | None, name: str, options: Iterable[str]) -> str | None:
    """The profile or the configuration file: by its flag, else among the mount options, else None.

    Raises:
        UsageError: it is empty.
    """
    if given is not None:
        return str(given)
    ours, _ = _taken_from(options)
    if ours.get(name) == "":
        raise UsageError(f"-o {name} is empty")
    return ours.get(name)


def _taken_from(options: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Our settings among the mount options, the choice of a file and a profile too, and the others."""
    ours, rest = {}, []
    for item in split(options):
        name, equals, text = item.partition("=")
        if equals and (name in OPTIONS or name in _CHOICES):
            ours[name] = text
        else:
            rest.append(item)
    return ours, rest


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
            # A lone word may be a key that was given by mistake.
            named = f" {place}" if place.suffix or len(place.parts) > 1 else " of that name"
            raise SetupError(f"there is no configuration file{named}") from error
        return {}
    except OSError as error:
        # Under sudo -u, home is often somebody else's.
        if not is_needed and not os.access(place.parent, os.X_OK):
            return {}
        raise SetupError(f"cannot read {place}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SetupError(f"{place} is not in UTF-8, as TOML is") from error
    except (ValueError, RecursionError) as error:
        # Python has a limit for digits, and speaks of it to programmers.
        reason = (
            str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a number or a nesting is too long"
        )
        raise SetupError(f"{place} is no TOML: {reason}") from error


def _check_trust(place: Path, descriptor: int) -> None:
    """See that nobody but us and root says in this file where the key goes.

    Raises:
        SetupError: somebody else could.
    """
    check_decisive(os.fstat(descriptor), "configuration file", str(place))
    # It may be a symbolic link to a folder of dotfiles.
    for folder in {place.absolute().parent, place.resolve().parent}:
        check_folder(folder.stat(), "folder of the configuration file", str(folder))


def _check_characters(name: str, text: str, source: str) -> None:
    if "\0" in text:
        raise UsageError(f"{source}: {name} has a character in it that no setting has")


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
        # What is no setting may be a key.
        named = f" {name!r}" if looks_like_a_word(name) else " of such a name"
        raise UsageError(f"{source}: there is no setting{named}", advice=advice)
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise UsageError(f"{source}: {name} takes a text or a number")
    if isinstance(given, int) and abs(given) > _INTEGER_MAX:
        # The largest that TOML has to take (v1.0.0); Python does not even print what is much larger.
        raise UsageError(f"{source}: {name} takes a smaller number")
    text = str(given)
    _check_characters(name, text, source)
    value = _parsed(option, text, f"{source}: {name}").value
    if not isinstance(value, Path):
        return Value(value, source)
    # The file is in UTF-8, and so are the names of files, whatever the locale says.
    value = Path(os.fsdecode(text.encode()))
    try:
        # Who names a file there means it seen from there.
        return Value(folder / value.expanduser(), source)
    except RuntimeError as error:
        raise SetupError(f"{source}: {name}: no home directory is known for {value}") from error
