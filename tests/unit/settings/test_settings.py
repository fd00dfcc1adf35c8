"""The values of settings: which are understood, which are refused, and that no key is shown."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from empirical_fs.errors import SetupError, UsageError
from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.settings.key import take_key
from empirical_fs.settings.mount_options import MountOptions, parse_mount_options, without_values
from empirical_fs.settings.settings import Settings, parse_api_url
from empirical_fs.settings.values import parse_listen_address, parse_path, parse_seconds, parse_size

KEY = "key-of-this-test"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1", 1),
        ("512", 512),
        ("64K", 2**16),
        ("256M", 2**28),
        ("256m", 2**28),
        ("1G", 2**30),
        ("2T", 2**41),
        ("10MB", 10 * 2**20),
        ("10MiB", 10 * 2**20),
        ("10B", 10),
        (" 5k ", 5 * 2**10),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """A size is a number with an optional unit, a power of 1024."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "M", "-1", "1.5G", "1e6", "1X", "1 M", "0x10", "\u0665", "1MM", "9" * 16, "\n"]
)
def test_no_sizes(text: str) -> None:
    """Anything else is no size, and the message shows how to write one."""
    with pytest.raises(ValueError, match="256M"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("9000", "127.0.0.1:9000"),
        (" 9000 ", "127.0.0.1:9000"),
        ("localhost:9000", "127.0.0.1:9000"),
        ("0.0.0.0:1", "0.0.0.0:1"),
        ("[::1]:65535", "[::1]:65535"),
        ("[0:0::1]:9000", "[::1]:9000"),
        ("[fe80::1%eth0]:9000", "[fe80::1%eth0]:9000"),
    ],
)
def test_addresses_to_listen_at(text: str, meant: str) -> None:
    """A port, alone for this machine only, or after an address; written again it is the same."""
    address = parse_listen_address(text)
    assert str(address) == meant
    assert parse_listen_address(meant) == address


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "0",
            "65536",
            "-1",
            "9e3",
            "\u0669",
            ":9000",
            "::1:9000",
            "[::1]",
            "[]:9000",
            "[127.0.0.1]:9000",
        ),
        *(
            "example.org:9000",
            "127.0.0.1:",
            "127.0.0.1:0",
            "http://127.0.0.1:9000",
            "127.1:9000",
            "999999",
            "\n",
        ),
    ],
)
def test_no_addresses_to_listen_at(text: str) -> None:
    """Anything else is refused: port 0, which is another one each time, and names, which move, too."""
    with pytest.raises(ValueError, match=r"9000|from 1 to 65535"):
        parse_listen_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://dash.empirical.run",
        "https://x.org:8443/base",
        "http://localhost:8000",
        " https://x.org ",
        "http://[::1]:5",
    ],
)
def test_api_urls(text: str) -> None:
    """The API is spoken to over https, or over http on this machine."""
    assert parse_api_url(text).host


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dash.empirical.run",
        "http://dash.empirical.run",
        "ftp://x.org",
        "https://user:secret@x.org",
        "https://x.org?a=b",
        "https://x.org#f",
        "https://",
        "https://[::1",
    ],
)
def test_no_api_urls(text: str) -> None:
    """A key is never sent anywhere else, and the message says what to write."""
    with pytest.raises(SetupError, match="--api-url") as caught:
        parse_api_url(text)
    assert "secret" not in str(caught.value)


def key_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [b"key-of-this-test", b"key-of-this-test\n", b"  key-of-this-test\r\n\n"])
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_key_file(tmp_path: Path, content: bytes, mode: int) -> None:
    """A key file that only its owner can use has the key, less the white space around it."""
    assert take_key(key_file(tmp_path, content, mode), None) == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666])
def test_a_key_file_that_others_can_use(tmp_path: Path, mode: int) -> None:
    """A key file that group or others can use in any way is refused, with the cure."""
    path = key_file(tmp_path, KEY.encode(), mode)
    with pytest.raises(SetupError, match="chmod 600"):
        take_key(path, None)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"two keys", b"a\nb", b"a\x00b", "schlüssel".encode(), b"\xef\xbb\xbfkey", b"\xff"],
)
def test_no_key_in_the_file(tmp_path: Path, content: bytes) -> None:
    """What cannot be a key is refused before it is sent, and not quoted."""
    path = key_file(tmp_path, content)
    with pytest.raises(SetupError) as caught:
        take_key(path, None)
    expected = f"the API key in {path} is empty or has spaces or unprintable characters in it"
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_key_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """A key file that is missing, or a directory, is refused with the reason."""
    with pytest.raises(SetupError, match="cannot read"):
        take_key(tmp_path / name, None)


def test_a_key_file_behind_a_folder_that_lets_nobody_through(tmp_path: Path) -> None:
    """It is not said to be missing."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path = key_file(folder, KEY.encode())
    folder.chmod(0)
    user = os.geteuid()
    try:
        if not user:
            os.seteuid(65534)
        with pytest.raises(SetupError, match=r"cannot be reached \(Permission denied\)"):
            take_key(path, None)
    finally:
        os.seteuid(user)
        folder.chmod(0o700)


@pytest.mark.parametrize("text", [KEY, "k" * 300, f"folder/{KEY}", f"/{KEY}"])
def test_a_key_in_place_of_the_name_of_a_file(text: str) -> None:
    """What is no file may be the key itself, and is not shown; who named it is."""
    with pytest.raises(SetupError, match=r"-o key_file names a file that .* not the key") as caught:
        take_key(Path(text), None, "-o key_file")
    assert text not in str(caught.value)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_key_file_of_another_user(tmp_path: Path) -> None:
    """Whoever owns the file decides what is in it, so root does not take that of a user."""
    path = key_file(tmp_path, KEY.encode())
    os.chown(path, 65534, 65534)
    with pytest.raises(SetupError, match="belongs to another user"):
        take_key(path, None)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        (f'"{KEY}"', "in quotes"),
        (f"'{KEY}'", "in quotes"),
        (f"{KEY_VARIABLE}={KEY}", "NAME=KEY"),
        (f'export {KEY_VARIABLE}="{KEY}x', "NAME=KEY"),
        (f"{KEY_VARIABLE} = {KEY}", "NAME=KEY"),
        ("k" * (2**13 + 1), "longer than 8 KiB"),
        ("k" * 2**20, "longer than 8 KiB"),
    ],
)
@pytest.mark.parametrize("is_file", [True, False])
def test_what_is_no_key_is_named(tmp_path: Path, text: str, phrase: str, *, is_file: bool) -> None:
    """A key as a shell or an env file has it, and what is too long for one, is said to be that, not shown."""
    path = key_file(tmp_path, text.encode()) if is_file else None
    with pytest.raises(SetupError, match=phrase) as caught:
        take_key(path, None if is_file else text)
    assert KEY not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("key", ["YWJjZGVm=", "YWJjZGVmZw==", "a-b=c", "k" * 2**13, "sk.a:b/c+d"])
def test_unusual_keys(key: str) -> None:
    """A key may end as base64 does, and have other characters in it."""
    assert take_key(None, key) == key


def test_values_that_may_be_keys_are_not_shown() -> None:
    """What should be a number is shown only where it is too short for a key."""
    for parse in (parse_size, parse_seconds, parse_listen_address):
        with pytest.raises(ValueError, match="not a") as caught:
            parse(KEY)
        assert KEY not in str(caught.value)
        with pytest.raises(ValueError, match="'soon'"):
            parse("soon")


PROGRAM = f"""
import os, subprocess, sys
from pathlib import Path
from empirical_fs.privacy import take_key_variable
from empirical_fs.settings.key import take_key
file = Path(sys.argv[1]) if len(sys.argv) > 1 else None
key = take_key(file, take_key_variable())
mine = Path("/proc/self/environ").read_bytes()
child = subprocess.run(["env"], capture_output=True, check=True).stdout
assert b"OTHER_VARIABLE=stays" in mine and b"OTHER_VARIABLE=stays" in child
shown = [where for where, text in (("proc", mine), ("child", child)) if b"from-environment" in text]
print(key, "{KEY_VARIABLE}" in os.environ, shown)
"""


def run_program(*arguments: str | Path, **environment: str) -> str:
    """What the program above says with this in its environment."""
    clean = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**clean, "OTHER_VARIABLE": "stays", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_key_is_wiped_from_the_environment() -> None:
    """A key from the environment is afterwards neither there, nor in a child's, nor in /proc/PID/environ."""
    assert run_program(**{KEY_VARIABLE: "from-environment"}) == "from-environment False []"


def test_key_file_comes_first(tmp_path: Path) -> None:
    """A key file wins over the environment, where the key is wiped all the same."""
    path = key_file(tmp_path, KEY.encode())
    assert run_program(path, **{KEY_VARIABLE: "from-environment"}) == f"{KEY} False []"


def test_every_copy_is_wiped(tmp_path: Path) -> None:
    """A variable may be twice in an environment, by execve(2); no copy stays, and the first one counts."""
    source, program = tmp_path / "twice.c", tmp_path / "twice"
    source.write_text(
        f"""#include <unistd.h>
        int main(int n, char **words) {{
            char *twice[] = {{"{KEY_VARIABLE}=from-environment", "OTHER_VARIABLE=stays", "LC_ALL=C.UTF-8",
                "{KEY_VARIABLE}=from-environment-2", 0}};
            return execve(words[1], words + 1, twice);
        }}"""
    )
    if shutil.which("cc") is None:
        pytest.skip("no compiler here")
    subprocess.run(["cc", "-o", program, source], check=True)
    done = subprocess.run(
        [program, sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )
    assert done.stdout.strip() == "from-environment False []", done.stderr


def test_no_key_at_all() -> None:
    """Without a key the message names both ways to give one."""
    said = run_program()
    assert KEY_VARIABLE in said
    assert "--key-file" in said


def test_settings_do_not_show_the_key() -> None:
    """However settings are printed, the key is not."""
    settings = Settings(
        mountpoint=Path("/m"),
        key=KEY,
        api_url=parse_api_url("https://x.org"),
        refresh=60,
        url_ttl=3000,
        memory=1,
        siblings=0,
        timeout=30,
        options=parse_mount_options([]),
    )
    assert KEY not in f"{settings} {settings!r} {settings!s}"


ALWAYS: dict[str, str | bool] = {
    "ro": True,
    "nosuid": True,
    "nodev": True,
    "default_permissions": True,
    "subtype": "empirical-mount",
}


def options(*texts: str) -> MountOptions:
    return parse_mount_options(texts)


def test_no_options() -> None:
    """Without options the files are the user's, the umask the process's, and the mount read-only."""
    umask = os.umask(0o027)
    try:
        assert options() == MountOptions(
            uid=os.getuid(),
            gid=os.getgid(),
            file_mask=0o027,
            directory_mask=0o027,
            nonempty=False,
            fuse=ALWAYS,
        )
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(umask)


def test_options_of_ours() -> None:
    """uid, gid and umask are ours and not libfuse's; the last of several wins."""
    parsed = options("uid=1,gid=2", "umask=077,uid=3")
    assert (parsed.uid, parsed.gid, parsed.file_mask, parsed.directory_mask) == (3, 2, 0o077, 0o077)
    assert parsed.fuse == ALWAYS


def test_masks_of_files_and_of_the_directory() -> None:
    """fmask and dmask count before umask, for what they are named after; libfuse does not see them."""
    parsed = options("fmask=133,dmask=22,umask=077")
    assert (parsed.file_mask, parsed.directory_mask) == (0o133, 0o022)
    assert parsed.fuse == ALWAYS
    parsed = options("fmask=0133,umask=027")
    assert (parsed.file_mask, parsed.directory_mask) == (0o133, 0o027)


def test_options_of_libfuse() -> None:
    """What is neither ours nor mount(8)'s goes to libfuse, and cannot undo what is always so."""
    parsed = options("allow_other,max_read=131072,,fsname=x=y", "ro,subtype=other,nonempty")
    assert parsed.fuse == {
        **ALWAYS,
        "allow_other": True,
        "max_read": "131072",
        "fsname": "x=y",
        "nonempty": True,
    }
    assert parsed.nonempty


def test_remote() -> None:
    """A mount that desktops take for remote has a type that they know, and our source."""
    assert options("remote").fuse == {**ALWAYS, "subtype": "sshfs"}
    with pytest.raises(SetupError, match="fsname"):
        options("remote,fsname=x")


def test_options_of_mount() -> None:
    """What fstab and systemd write for mount(8) is nobody's business here."""
    assert options("defaults,noauto,user,nofail,_netdev,x-systemd.automount,X-a=b,comment=c").fuse == ALWAYS


@pytest.mark.parametrize("text", ["rw", "suid", "dev", "ro,rw", "allow_other,dev"])
def test_contrary_options(text: str) -> None:
    """What would make the mount writable or dangerous is refused."""
    with pytest.raises(SetupError, match="read-only"):
        options(text)


@pytest.mark.parametrize(
    "text",
    [
        "uid",
        "uid=",
        "uid=root",
        "uid=-1",
        "gid=1.5",
        "uid=\u0665",
        "umask",
        "umask=8",
        "umask=0o22",
        "umask=1777",
        "umask=",
        "fmask",
        "dmask=u=rwx",
    ],
)
def test_bad_values(text: str) -> None:
    """A value that is no number is refused, and the message names the option."""
    with pytest.raises(SetupError, match=f"-o {text.partition('=')[0]} "):
        options(text)


@pytest.mark.parametrize("text", ["uid=4294967296", "gid=4294967295", "uid=9999999999"])
def test_identities_that_do_not_fit(text: str) -> None:
    """An id that the kernel cannot hold is refused, and never wraps into another's (2**32 into root's)."""
    with pytest.raises(SetupError):
        options(text)


@pytest.mark.parametrize("name", ["key", "API-KEY", "EMPIRICALRUN_KEY", "token"])
def test_a_key_among_the_options(name: str) -> None:
    """Everybody could see it there; the message says where it goes, without it."""
    with pytest.raises(SetupError, match=f"-o {name.lower()}: .*key_file=") as caught:
        options(f"allow_other,{name}={KEY}")
    assert KEY not in str(caught.value)


def test_what_libfuse_says_without_values() -> None:
    """It quotes what it does not know: names stay, and values and what may be a key go."""
    given: dict[str, str | bool] = {"unknown": "KEYTEXT-0", "KEYTEXT-1": True, "alow_other": True, "X": "5"}
    said = "fuse: unknown options `unknown=KEYTEXT-0', `KEYTEXT-1', `alow_other', `X=5'"
    assert without_values(said, given) == "fuse: unknown options `unknown=...', `...', `alow_other', `X=5'"


def test_a_key_that_comes_by_a_pipe(tmp_path: Path) -> None:
    """It is read as it comes, as of `<(pass show key)`; one that nobody writes to is given up."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    writer = threading.Timer(0.2, lambda: pipe.write_text("key"))
    writer.start()
    assert take_key(pipe, None) == "key"
    writer.join()


@pytest.mark.parametrize(
    "text", ["1_0", " 5", "\u0663", "1e400", "9" * 400, "0x10", "nan", "-0", "", "1e", "."]
)
def test_no_seconds(text: str) -> None:
    """What Python takes for a number is one of seconds only if it is written as people write one."""
    with pytest.raises(ValueError, match="not a number of seconds"):
        parse_seconds(text)


@pytest.mark.parametrize(("text", "seconds"), [("5", 5), ("0.5", 0.5), (".5", 0.5), ("5.", 5), ("1e3", 1000)])
def test_seconds(text: str, seconds: float) -> None:
    """A decimal number, whole or not."""
    assert parse_seconds(text) == seconds


def test_no_path() -> None:
    """The name of a file that is empty is none, and not the current directory."""
    with pytest.raises(ValueError, match="empty"):
        parse_path("")


@pytest.mark.parametrize(("source", "kind"), [("-o api_url", UsageError), ("EMPIRICAL_API_URL", SetupError)])
def test_who_gave_no_api_url(source: str, kind: type[SetupError]) -> None:
    """The message says who gave it, and only an option is a matter of usage."""
    with pytest.raises(SetupError, match=f"^{source}") as caught:
        parse_api_url("http://x.org", source)
    assert type(caught.value) is kind
