"""Combines the arguments, the environment and the configuration file into the settings of a mount."""

import argparse
from pathlib import Path

from empirical_fs.cli.arguments import PLACES_MAX, is_url
from empirical_fs.cli.places import check_ways
from empirical_fs.settings import configuration
from empirical_fs.settings.configuration import Configuration
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
    return configuration.find(flags, options, variable, None if config is None else Path(config), profile)
