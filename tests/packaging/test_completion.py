"""Each shell completes options, files and directories."""

from collections.abc import Callable
from pathlib import Path

import pytest

from empirical_fs.cli.arguments import PROGRAM, parser
from scripts.packaging.generate import COMPLETIONS, generated
from tests.support.harness import environment, run

Complete = Callable[..., set[str]]

# What bash does at a press of the tabulator key: the function that `complete` names, with these variables.
_BASH = """
source "$1" && shift
read -r -a specification <<<"$(complete -p empirical-mount)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
for index in "${!specification[@]}"; do
    [ "${specification[index]}" != -F ] || function=${specification[index + 1]}
done
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
_FISH = 'source "$argv[1]"; complete -C "$argv[2]"'

# zsh completes only at a terminal. A single match is not listed: it is what the command gets.
_ZSH = r"""
zmodload zsh/zpty
line=$2
zpty shell zsh -f -i
zpty -w shell "PS1= PS2=; unsetopt zle_bracketed_paste; fpath=($1:h \$fpath); autoload -U compinit"
zpty -w shell "compinit -u -D; empirical-mount() { print -r -- got: \$@[-1] }; print -r -- rea''dy"
zpty -r shell seen '*ready*'
zpty -w -n shell "$line"$'\t\n'
zpty -r shell seen '*got: *'$'\n'
print -r -- "${${seen##*got: }%%[[:space:]]*}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    for path, text in generated().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    (tmp_path / "private.key").touch()
    return tmp_path


@pytest.fixture(params=["bash", "fish"])
def complete(request: pytest.FixtureRequest, scripts: Path, folder: Path) -> Complete:
    """What the shell offers for the last word, without descriptions."""
    script = scripts / COMPLETIONS[request.param]

    def in_shell(*words: str) -> set[str]:
        line = (PROGRAM, *words)
        command: dict[str, list[str | Path]] = {
            "bash": ["bash", "--norc", "-c", _BASH, "bash", script, *line],
            "fish": ["fish", "--no-config", "-c", _FISH, script, " ".join(line)],
        }
        done = run(
            *command[request.param], cwd=folder, timeout=30, env=environment(HOME=str(folder), TERM="dumb")
        )
        assert done.stderr == ""
        return {found.split("\t")[0].rstrip("/") for found in done.stdout.splitlines() if found}

    return in_shell


def test_an_option(complete: Complete) -> None:
    """The beginning of an option becomes the option."""
    assert complete("--st") == {"--status"}


def test_every_option(complete: Complete) -> None:
    """All long options of the parser are offered."""
    wanted = {name for action in parser()._actions for name in action.option_strings if name[:2] == "--"}
    assert wanted <= complete("--")


@pytest.mark.parametrize("option", ["--key-file", "--config", "--log-file"])
def test_files(complete: Complete, option: str) -> None:
    """Where a file belongs, files are offered, and directories on the way to them."""
    assert complete(option, "p") == {"place", "private.key"}


@pytest.mark.parametrize("before", [(), ("-u",), ("--status", "--json")])
def test_directories(complete: Complete, before: tuple[str, ...]) -> None:
    """Where the mount point belongs, only directories are offered."""
    assert complete(*before, "p") == {"place"}


@pytest.mark.parametrize(
    ("line", "word"),
    [("empirical-mount --st", "--status"), ("empirical-mount --key-file priv", "private.key")],
)
def test_zsh(scripts: Path, folder: Path, line: str, word: str) -> None:
    """zsh completes the beginning of an option, and a file after one that takes it."""
    done = run(
        "zsh", "-f", "-c", _ZSH, "zsh", scripts / COMPLETIONS["zsh"], line,
        cwd=folder, timeout=30, env=environment(HOME=str(folder), TERM="dumb"),
    )  # fmt: skip
    assert done.stdout.strip() == word
