"""The man page: a template, and the options as the parser knows them."""

import argparse

# What groff would print as something else, or take for a request.
_ESCAPES = str.maketrans({"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"})


def manual_page(template: str, parser: argparse.ArgumentParser, version: str) -> str:
    """The page in man(7)'s language; every option that `--help` shows is there."""
    prefix = parser.prog
    usage = (parser.usage or parser.format_usage()) % {"prog": prefix}
    texts = {
        "@VERSION@": _escaped(version),
        "@USAGE@": f"{_bold(prefix)}{_escaped(usage.removeprefix(prefix))}",
        "@OPTIONS@": "\n".join(_options(parser)),
    }
    for mark, text in texts.items():
        template = template.replace(mark, text)
    return template


def _options(parser: argparse.ArgumentParser) -> list[str]:
    lines = []
    # argparse shows its groups to nobody else; shtab and argparse-manpage read these attributes too.
    for group in parser._action_groups:
        shown = [
            action
            for action in group._group_actions
            if action.option_strings and action.help != argparse.SUPPRESS
        ]
        if shown:
            lines.append(f".SS {_escaped((group.title or 'options').capitalize())}")
        for action in shown:
            lines += [".TP", _invocation(action), _escaped(_help(action, parser))]
    return lines


def _invocation(action: argparse.Action) -> str:
    """All names of an option, and its argument after the last of them."""
    names = ", ".join(_bold(name) for name in action.option_strings)
    if action.nargs == 0:
        return names
    return f"{names} \\fI{_escaped(str(action.metavar or action.dest.upper()))}\\fR"


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    return (action.help or "") % {**vars(action), "prog": parser.prog}


def _bold(text: str) -> str:
    return f"\\fB{_escaped(text)}\\fR"


def _escaped(text: str) -> str:
    escaped = text.translate(_ESCAPES)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
