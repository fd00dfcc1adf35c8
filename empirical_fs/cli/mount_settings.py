"""Combines the arguments, the environment and the configuration file into the settings of a mount."""

import argparse
import os
from pathlib import Path

from empirical_fs.cli.arguments import PLACES_MAX, is_url
from empirical_fs.cli.places import check_ways
from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.settings import configuration
from empirical_fs.settings.config_file import read_file
from empirical_fs.settings.configuration import Configuration, machine_defaults
from empirical_fs.settings.memory_limit import memory_limit
from empirical_fs.settings.mount_options import of_mount_command


def mount_settings(given: argparse.Namespace, variable: str | None) -> Configuration:
    """The settings that the user asked for; `variable` is the key from the environment, if it was there."""
    options, flags = given.options, vars(given)
    if len(given.places) == PLACES_MAX:
        options = of_mount_command(options)
        source = given.places[0]
        if is_url(source) and not given.api_url:
            flags = {**flags, "api_url": source}
    config = configuration.choice(given.config, "config", options)
    profile = configuration.choice(given.profile, "profile", options)
    check_ways([config])
    file = read_file(None if config is None else Path(config), profile)
    environment = {**os.environ, KEY_VARIABLE: "taken" if variable else ""}
    return configuration.resolve(flags, options, environment, file, machine_defaults(memory_limit()))
