"""The arguments of `empirical-mount`, and their descriptions in `--help`."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from empirical_fs import __version__
from empirical_fs.cli.output import say, tell
from empirical_fs.errors import Trouble
from empirical_fs.printing import printable
from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.settings.misspelt import nearest
from empirical_fs.settings.options import OPTIONS, Option
from empirical_fs.settings.values import WrongValue, looks_like_a_word, parse_path, parse_word

PROGRAM = "empirical-mount"
PLACES_MAX = 2
"""mount(8) gives us two arguments: the first field of fstab(5), and the mount point."""

CACHE_COMMANDS = {
    "prefetch": "MOUNTPOINT [PATTERN...]: fetch these files, or all, into the cache",
    "pin": "MOUNTPOINT PATTERN...: the same, keep them there, and keep them current",
    "unpin": "MOUNTPOINT PATTERN...: let them be evicted again",
    "cached": "show what is in the cache of the mount, or in --cache-dir",
    "verify": "check the cache of the mount, or in --cache-dir; drop what is damaged",
    "evict": "MOUNTPOINT PATTERN...: remove these files from the cache",
}
"""The commands for the cache on disk, with their descriptions."""
PATTERNS_OF = {"prefetch": 0, "pin": 1, "unpin": 1, "evict": 1}
"""How many patterns these take after MOUNTPOINT at least; the others take none."""

_VALUE_GIVEN = re.compile("ignored explicit argument .*", re.DOTALL)
_AMBIGUOUS = re.compile("(ambiguous option: [^=]*)=.*(?= could match )", re.DOTALL)
"""The messages of argparse about `--json=VALUE` and `--s=VALUE`, both with the value, which may be a key."""

_USAGE = 2
"""The exit status of a usage error."""
_HELP_COLUMN, _HELP_WIDTH = 27, 100

_OF_SETTINGS = {
    "key_file": ("FILE", f"the API key, in a file that you alone can read (or {KEY_VARIABLE})"),
    "api_url": ("URL", "the API (default: {variable}, else {default})"),
    "refresh": ("SECONDS", "age at which the listing is fetched again ({default})"),
    "url_ttl": ("SECONDS", "how long a signed URL is kept, under 3600 ({default})"),
    "memory": ("SIZE", "read data held in memory at most ({default})"),
    "siblings": ("SIZE", "files up to SIZE are fetched ahead of a walk; 0: none ({default})"),
    "timeout": ("SECONDS", "deadline of one read ({default})"),
    "cache": (None, "keep what was read on disk, for later mounts"),
    "cache_dir": ("DIR", "the same, in DIR (~/.cache/empirical-fs)"),
    "cache_size": ("SIZE", "what the cache takes on disk at most ({default})"),
    "cache_min_free": ("SIZE|PERCENT", "what it leaves free on its disk ({default})"),
    "offline": (None, "with the cache: start from it, without waiting for the API"),
    "metrics": ("[ADDR:]PORT", "serve metrics for Prometheus; without ADDR to this machine only"),
    "log_file": ("FILE", "log to FILE, which is kept small"),
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without control characters and without values that may be keys."""

    def error(self, message: str) -> NoReturn:
        """Exit with one line that says what is wrong and where to look."""
        wrong = _AMBIGUOUS.sub(r"\1", _VALUE_GIVEN.sub("takes no value", message))
        trouble = Trouble(wrong.removeprefix("argument "), f"see {self.prog} --help")
        self.exit(_USAGE, f"{self.prog}: {printable(str(trouble))}\n")

    def refuse(self, rest: Sequence[str]) -> NoReturn:
        """Exit with a message about the unknown arguments `rest`."""
        # Without the values, which may be keys.
        unknown = [each.partition("=")[0] for each in rest if each.startswith("-")]
        if not unknown:
            self.error("too many arguments")
        named = list(filter(looks_like_a_word, unknown))
        what = f"there is no such option: {', '.join(named) or '-...'}"
        meant = nearest(named[0], self._option_string_actions) if named else None
        self.error(what if meant is None else str(Trouble(what, f"the nearest is {meant}")))

    def _print_message(self, message: str, file: Any = None) -> None:
        """Write the help or the version to stdout like every answer, and errors to stderr."""
        if file is sys.stdout:
            say(message.rstrip("\n"))
        else:
            tell(message.rstrip("\n"))


def parser() -> Parser:
    """The parser of the command line; settings that are not given become None."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [OPTION...] [SOURCE] MOUNTPOINT",
        description="Mount the resources of an Empirical project as a read-only directory.",
        formatter_class=lambda prog: argparse.HelpFormatter(
            prog, max_help_position=_HELP_COLUMN, width=_HELP_WIDTH
        ),
        add_help=False,
    )
    parser.add_argument("places", metavar="MOUNTPOINT", nargs="*", help=argparse.SUPPRESS)
    _add_mounting(parser.add_argument_group("mounting"))
    _add_commands(parser.add_argument_group("with what is mounted"))
    reading = parser.add_argument_group("reading")
    for name in ("refresh", "url_ttl", "memory", "siblings", "timeout"):
        _add_setting(reading, OPTIONS[name])
    cache = parser.add_argument_group("cache on disk")
    for name in ("cache", "cache_dir", "cache_size", "cache_min_free", "offline"):
        _add_setting(cache, OPTIONS[name])
    _add_others(parser.add_argument_group("log, metrics and help"))
    return parser


def _add_mounting(group: argparse._ArgumentGroup) -> None:
    _add_setting(group, OPTIONS["key_file"])
    _add_setting(group, OPTIONS["api_url"])
    group.add_argument(
        "--profile", metavar="NAME", type=_explaining(parse_word), help="a profile of the configuration file"
    )
    group.add_argument(
        "--config",
        metavar="FILE",
        type=_explaining(parse_path),
        help="that file (~/.config/empirical-fs/config.toml)",
    )
    group.add_argument(
        "-o",
        dest="options",
        metavar="OPTS",
        action="append",
        default=[],
        help="mount options, as of mount(8): allow_other, uid=, gid=, umask=, fmask=, dmask=, remote, ...",
    )
    group.add_argument(
        "-f", "--foreground", action="store_true", help="stay in the foreground; SIGINT and SIGTERM unmount"
    )


def _add_commands(group: argparse._ArgumentGroup) -> None:
    instead = group.add_mutually_exclusive_group()
    instead.add_argument("-u", "--unmount", action="store_true", help="unmount MOUNTPOINT")
    group.add_argument(
        "--lazy", action="store_true", help="with -u: unmount though it is in use; its users may finish"
    )
    instead.add_argument(
        "--status", action="store_true", help="the state of the mount at MOUNTPOINT, or of all"
    )
    instead.add_argument(
        "--doctor", action="store_true", help="look at all that a mount needs, and say what to do"
    )
    group.add_argument("--json", action="store_true", help="with these commands: for programs")
    instead.add_argument("--reload", action="store_true", help="have the mount fetch its listing now")
    for name, text in CACHE_COMMANDS.items():
        instead.add_argument(f"--{name}", action="store_true", help=text)
    group.add_argument(
        "--online", action="store_true", help="with --verify: also ask the object store for each file"
    )


def _add_others(group: argparse._ArgumentGroup) -> None:
    _add_setting(group, OPTIONS["log_file"])
    group.add_argument(
        "-v",
        "--verbose",
        dest="verbosity",
        action="count",
        default=0,
        help="log what happens; twice, every operation and request",
    )
    group.add_argument(
        "-q", "--quiet", dest="verbosity", action="store_const", const=-1, help="log errors only"
    )
    _add_setting(group, OPTIONS["metrics"])
    group.add_argument("-h", "--help", action="help", help="show this")
    group.add_argument(
        "--version", action="version", version=f"%(prog)s {__version__}", help="show the version"
    )


def _add_setting(group: argparse._ArgumentGroup, option: Option) -> None:
    metavar, text = _OF_SETTINGS[option.name]
    shown = text.format(default=option.default, variable=option.variable).replace("%", "%%")
    if option.is_switch:
        # What is not given is None, so that the other sources count.
        group.add_argument(option.flag, action="store_const", const=True, help=shown)
    else:
        group.add_argument(option.flag, metavar=metavar, type=_explaining(option.parse), help=shown)


def _explaining(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """As `parse`, but with the reason of a WrongValue in the message, which argparse would hide."""

    def explain(text: str) -> Any:
        try:
            return parse(text)
        except WrongValue as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return explain


def asked_of_cache(given: argparse.Namespace) -> str | None:
    """The command of the cache on disk that was given; None for another."""
    return next((each for each in CACHE_COMMANDS if getattr(given, each)), None)


def is_source(text: str) -> bool:
    """Whether `text` may be the first field of fstab(5): a URL of the API, or any word that is no path."""
    return is_url(text) or "/" not in text


def is_url(text: str) -> bool:
    """Whether `text` is a URL rather than a path."""
    return "://" in text
