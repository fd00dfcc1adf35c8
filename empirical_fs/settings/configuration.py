"""Merges the settings and their sources: flags before the environment, the file and the defaults."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from empirical_fs.errors import UsageError
from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.settings.config_file import ConfigFile, read_file
from empirical_fs.settings.memory_limit import default_budget, memory_limit
from empirical_fs.settings.mount_options import split
from empirical_fs.settings.options import OPTIONS, Option, Value
from empirical_fs.settings.values import (
    API_URL_VARIABLE,
    DEFAULT,
    parse_memory,
)

_CHOICES = ("config", "profile")
_ON, _OFF = "on", "off"
"""How a switch is written, and shown."""
_MIB = 2**20


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


Spell = Callable[[Option], str]
"""Returns how the user has written a setting, for messages."""


def as_flag(option: Option) -> str:
    """As on the command line."""
    return option.flag


def resolve(  # noqa: PLR0913, PLR0917 - all sources
    flags: Mapping[str, Any],
    options: Iterable[str],
    environment: Mapping[str, str],
    file: ConfigFile,
    defaults: Mapping[str, Value],
    spell: Spell = as_flag,
) -> Configuration:
    """Merge the settings by their precedence.

    Args:
        flags: the values of the flags that were given.
        options: the texts of every `-o`; they may contain settings, which fstab(5) can only give there.
        environment: the environment variables; the key's value is not used, only whether it is empty.
        file: the settings of the configuration file.
        defaults: defaults that depend on this machine (`machine_defaults`).
        spell: how the user has written a setting that is in `flags`.

    Raises:
        SetupError: a value that is used is not valid.
    """
    in_options, rest = _taken_from(options)

    def from_flag(option: Option) -> Value | None:
        value = flags.get(option.name)
        return None if value is None else Value(value, spell(option))

    def from_options(option: Option) -> Value | None:
        text = in_options.get(option.name)
        return None if text is None else option.value_of(text, f"-o {option.name}")

    def from_environment(option: Option) -> Value | None:
        text = None if option.variable is None else environment.get(option.variable)
        if not text or option.variable is None:
            return None
        # The variable may hold the key itself, which must not be shown.
        is_key = option.variable == KEY_VARIABLE
        return Value(None, KEY_VARIABLE) if is_key else option.value_of(text, option.variable)

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


def find(  # noqa: PLR0913, PLR0917 - all sources
    flags: Mapping[str, Any],
    options: Iterable[str],
    variable: str | None,
    path: Path | None,
    profile: str | None,
    spell: Spell = as_flag,
) -> Configuration:
    """Merge the settings for this process: its environment, and the file at `path` or the default one.

    Args:
        flags: the values of the flags, or of what corresponds to them, that were given.
        options: the texts of every `-o`.
        variable: the key from the environment, if it was there.
        path: the configuration file; None for the default one.
        profile: the profile in the file; None for none.
        spell: as for `resolve`.

    Raises:
        SetupError: the file cannot be used, or a value that is used is not valid.
    """
    environment = {**os.environ, KEY_VARIABLE: "taken" if variable else ""}
    file = read_file(path, profile)
    return resolve(flags, options, environment, file, machine_defaults(memory_limit()), spell)


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
