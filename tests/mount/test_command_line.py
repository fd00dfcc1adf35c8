"""What the command line says when something is wrong: one line that helps, and nothing left behind."""

import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.harness import (
    KEY,
    Sandbox,
    empirical_mount,
    environment,
    mount_command,
    mounted,
    mounts,
    processes,
    run,
    said,
    wait_until,
)
from tests.support.namespaces import apart
from tests.support.ports import unused_port

# /dev without /dev/fuse, in a mount namespace of its own.
WITHOUT_FUSE_DEVICE = """
exec 3</dev/null
mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9
exec "$@" <&3
"""


def attempt(url: str, *arguments: str | Path, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """Run the program, which is expected to fail before it mounts."""
    wanted = environment(**{"EMPIRICALRUN_KEY": KEY, "EMPIRICAL_API_URL": url, **variables})
    return empirical_mount(*arguments, check=False, env=wanted)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mnt"
    yield path
    assert str(path) not in mounts()
    assert not processes(path)


@pytest.fixture
def web_server() -> Iterator[str]:
    """Something on the network that is not the API: pages, other JSON, and a redirect."""
    asked = list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            redirects = self.path.startswith("/redirect/")
            body = b'{"data": []}' if self.path.startswith("/json/") else b"<html>Sign in</html>"
            self.send_response(302 if redirects else 200)
            if redirects:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            """Not on the stderr of the tests."""

    with ThreadingHTTPServer(("127.0.0.1", unused_port()), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
    assert "/elsewhere" not in asked


@pytest.mark.parametrize("place", ["/page", "/json", "/redirect"])
def test_not_the_api(web_server: str, path: Path, place: str) -> None:
    """What answers but is not the API is said to be none, and a redirect is not followed."""
    done = attempt(web_server + place, path)
    assert (done.returncode, "not the Empirical API" in said(done)) == (1, True)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read(sandbox: Sandbox, path: Path, tmp_path: Path, mode: int) -> None:
    """A key file is refused when group or others can read it, and the line says how to mend that."""
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    key_file.chmod(mode)
    assert "chmod 600" in said(attempt(sandbox.url, "--key-file", key_file, path, EMPIRICALRUN_KEY=None))


def test_a_key_file_of_ones_own(sandbox: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """A key file that only its owner can read stands in for the variable."""
    sandbox.put("a", b"a")
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\n")
    key_file.chmod(0o600)
    with mount("--key-file", key_file) as mounted:
        assert mounted.names() == {"a"}


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(401, "refused the key"), (403, "refused the key"), (404, "check EMPIRICAL_API_URL")],
)
def test_statuses(sandbox: Sandbox, path: Path, status: int, phrase: str) -> None:
    """A status that will not get better by waiting is said at once."""
    sandbox.plan(faults=[{"on": "list", "action": {"type": "status", "status": status}}])
    assert phrase in said(attempt(sandbox.url, path))


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak"])
def test_keys_that_are_none(sandbox: Sandbox, path: Path, key: str) -> None:
    """A key that cannot be one is refused before it is sent, and not shown."""
    line = said(attempt(sandbox.url, path, EMPIRICALRUN_KEY=key))
    assert "API key" in line
    assert not key or key not in line
    assert sandbox.requests()["list"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url-ttl", "3600"],
        ["--url-ttl", "0"],
        ["--memory", "lots"],
        ["--memory", "0"],
        ["--timeout", "0"],
        ["--refresh", "-1"],
        ["--no-such-option"],
        ["--timeout", "1_0"],
        ["--timeout", "1e10"],
        ["--key-file", ""],
        ["-u", ""],
        ["--timeout=--"],
        ["-o--"],
    ],
)
def test_usage_errors(sandbox: Sandbox, path: Path, arguments: list[str]) -> None:
    """What cannot be meant ends with status 2 and a line that says what is wrong, and where to look."""
    done = attempt(sandbox.url, *arguments, path)
    assert done.returncode == 2
    assert "; see empirical-mount --help" in said(done)


def test_an_environment_of_a_vpn(sandbox: Sandbox, tmp_path: Path) -> None:
    """Proxies of SOCKS and networks without one are no obstacle to an API on this machine."""
    sandbox.put("a.txt", b"a")
    variables = {"ALL_PROXY": "socks5://127.0.0.1:1", "NO_PROXY": "fe80::/10,::1,10.0.0.0/8"}
    with mounted(tmp_path / "mnt", sandbox.url, variables=variables) as mount:
        assert (mount / "a.txt").read_bytes() == b"a"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSL_CERT_FILE", "/nowhere/ca.pem"),
        ("HTTPS_PROXY", "nonsense://user:secret@x"),
        ("ALL_PROXY", "socks4://user:secret@x"),
        ("EMPIRICAL_API_URL", "http://user:secret@x"),
    ],
)
def test_an_environment_that_does_not_fit(sandbox: Sandbox, path: Path, name: str, value: str) -> None:
    """Certificates that are not there, and a proxy that is none, are said in a line, without its password."""
    line = said(attempt(sandbox.url, path, **{"SSL_CERT_DIR": "", name: value}))
    assert name in line
    assert "internal error" not in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("options", "phrase"), [("rw", "read-only"), ("uid=me", "uid"), ("nonsense=1", "nonsense=1")]
)
def test_mount_options_that_do_not_fit(sandbox: Sandbox, path: Path, options: str, phrase: str) -> None:
    """An option that contradicts the mount, or that nobody knows, is refused by its name."""
    done = attempt(sandbox.url, "-o", options, path)
    assert phrase in said(done)
    assert done.returncode == 2


def test_what_is_no_address_of_an_api(sandbox: Sandbox, path: Path) -> None:
    """It ends with the status of usage errors where an option gives it."""
    assert attempt(sandbox.url, "--api-url", "http://x.org", path).returncode == 2
    assert attempt("http://x.org", path).returncode == 1


def test_mount_points_that_do_not_fit(sandbox: Sandbox, path: Path) -> None:
    """A file and a directory with something in it are refused, and stay as they are."""
    path.mkdir()
    (path / "file").write_text("mine")
    assert "not empty" in said(attempt(sandbox.url, path))
    assert "not a directory" in said(attempt(sandbox.url, path / "file"))
    assert (path / "file").read_text() == "mine"


@pytest.mark.parametrize("option", ["--status", "--refresh=1"])
def test_a_home_that_nobody_has(sandbox: Sandbox, option: str) -> None:
    """A mount point below the home of no user is said to be none."""
    assert "no-such-user" in said(attempt(sandbox.url, option, "~no-such-user/mnt"))


def test_mounted_already(sandbox: Sandbox, mount: Mount) -> None:
    """A second mount at the same place is refused, and the first goes on."""
    sandbox.put("a", b"a")
    with mount() as mounted:
        assert "mounted already" in said(attempt(sandbox.url, mounted.path))
        assert mounted.names() == {"a"}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can take /dev/fuse away, in a namespace")
def test_no_fuse_device(sandbox: Sandbox, path: Path) -> None:
    """Without /dev/fuse the line says what to do, in a container too."""
    variables = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=sandbox.url)
    inside = apart("sh", "-c", WITHOUT_FUSE_DEVICE, "sh")
    line = said(run(*inside, *mount_command(path), check=False, env=variables))
    assert "/dev/fuse is missing" in line
    assert "--device /dev/fuse" in line


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_as_another_user(sandbox: Sandbox, path: Path) -> None:
    """Without fusermount, and for a directory of somebody else's, a user is told what is missing."""
    path.mkdir(mode=0o700)
    somebody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    variables = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=sandbox.url)
    # What runs as somebody else must not need what only root can read, the interpreter's venv perhaps.
    if run(*somebody, *mount_command("--version"), check=False, env=variables).returncode != 0:
        pytest.skip("others cannot run this checkout")
    without = {**variables, "PATH": "/nowhere"}
    setpriv = ["/usr/bin/setpriv", *somebody[1:]]
    assert "install fuse" in said(run(*setpriv, *mount_command(path / "mnt"), check=False, env=without))
    assert "no permission" in said(run(*somebody, *mount_command(path / "mnt"), check=False, env=variables))


@pytest.mark.by_program
def test_unmounting(sandbox: Sandbox, mount: Mount, path: Path) -> None:
    """-u refuses where nothing is mounted and what is in use, by whom it says, and waits for the end else."""
    sandbox.put("a", b"a")
    assert "nothing is mounted" in said(attempt(sandbox.url, "-u", path))
    with mount() as mounted:
        with (mounted / "a").open():
            assert f"(process {os.getpid()})" in said(attempt(sandbox.url, "-u", mounted.path))
            assert mounted.names() == {"a"}
        with subprocess.Popen(["sleep", "60"], cwd=mounted.path) as sleeper:
            assert f"in use by sleep (process {sleeper.pid})" in said(
                attempt(sandbox.url, "-u", mounted.path)
            )
            sleeper.kill()
        assert attempt(sandbox.url, "-u", mounted.path).returncode == 0
        assert str(mounted.path) not in mounts()
        assert not processes(mounted.path)


def test_unmounting_what_is_mapped(sandbox: Sandbox, mount: Mount) -> None:
    """A file that is mapped is in use, though it is not open any more."""
    sandbox.put("a", b"a" * 10_000)
    with mount() as mounted:
        with (mounted / "a").open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        assert f"(process {os.getpid()})" in said(attempt(sandbox.url, "-u", mounted.path))
        mapped.close()
        assert attempt(sandbox.url, "-u", mounted.path).returncode == 0


@pytest.mark.parametrize(
    "arguments", [["--lazy"], ["--json"], ["--lazy", "--status"], ["--json", "--reload"]]
)
def test_what_goes_with_another_option(tmp_path: Path, arguments: list[str]) -> None:
    """Alone it is a usage error: whoever forgot -u does not want to mount."""
    done = empirical_mount(*arguments, tmp_path / "mnt", check=False)
    assert done.returncode == 2
    assert " goes with " in done.stderr
    assert not (tmp_path / "mnt").exists()


def test_lazy_unmounting_on_request(sandbox: Sandbox, mount: Mount) -> None:
    """--lazy takes away what is in use; who has it open reads on."""
    sandbox.put("a", b"content")
    with mount() as mounted:
        with (mounted / "a").open("rb") as file:
            assert attempt(sandbox.url, "-u", "--lazy", mounted.path).returncode == 0
            assert str(mounted.path) not in mounts()
            assert file.read() == b"content"
        wait_until(lambda: not processes(mounted.path), "the end of the process")


def test_progress_on_a_terminal_only(sandbox: Sandbox, mount: Mount, path: Path) -> None:
    """A listing of more than a page shows its progress on a terminal, and is silent elsewhere."""
    for number in range(201):
        sandbox.put(f"file-{number}", b"")
    variables = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=sandbox.url)
    silent = empirical_mount(path, env=variables)
    empirical_mount("-u", path)
    assert silent.stdout + silent.stderr == ""
    command = f"stty columns 80 rows 24; {sys.executable} -m empirical_fs {path}"
    shown = run("script", "-qec", command, "/dev/null", env=variables).stdout
    empirical_mount("-u", path)
    wait_until(lambda: not processes(path), "the end of the process")
    assert "listing" in shown
    assert "/3" in shown


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--status"], ["--doctor", "--json"]])
def test_output_that_nobody_takes(arguments: list[str]) -> None:
    """A pipe that nobody reads is no error, and a full disk is one line."""
    reading, writing = os.pipe()
    os.close(reading)
    for output, expected in ((writing, b""), (os.open("/dev/full", os.O_WRONLY), b"No space left")):
        done = subprocess.run(
            mount_command(*arguments), stdout=output, stderr=subprocess.PIPE, env=environment(), check=False
        )
        os.close(output)
        assert expected in done.stderr
        assert done.stderr.count(b"\n") == (1 if expected else 0)
        assert done.returncode == (1 if expected else 0)


@pytest.mark.parametrize(("arguments", "status"), [(["--bogus"], 2), (["-u", "/nonexistent"], 1)])
def test_errors_that_nobody_takes(arguments: list[str], status: int) -> None:
    """On a full disk the line is lost, and the status is what it would be."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(mount_command(*arguments), stderr=full, env=environment(), check=False)
    assert done.returncode == status


def test_interrupted_while_it_starts() -> None:
    """Ctrl-C ends it as it does any program, before anything of ours can make a traceback of it."""
    asking = "import empirical_fs.guarded, signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_DFL)"
    # Whoever runs the tests in the background may ignore it.
    assert run("env", "--default-signal=INT", sys.executable, "-c", asking).stdout == "True\n"


def test_signals_that_the_parent_ignores(path: Path) -> None:
    """Who starts the program may ignore the ends of children, and block signals, without harm."""
    script = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD])\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    command = mount_command("--api-url", "http://127.0.0.1:1", "--timeout", "1", path)
    wanted = environment(EMPIRICALRUN_KEY=KEY)
    done = run(sys.executable, "-c", script, *command, check=False, env=wanted)
    assert done.returncode == 1
    assert "cannot reach the API" in said(done)


def test_a_mount_that_mount_fuse_has_made(path: Path) -> None:
    """With drop_privileges, mount.fuse3 hands on a descriptor in place of a directory."""
    done = empirical_mount("/dev/fd/5", check=False, env=environment(EMPIRICALRUN_KEY=KEY))
    assert (done.returncode, "drop_privileges" in said(done)) == (1, True)


def test_unmounting_from_within(sandbox: Sandbox, mount: Mount) -> None:
    """The program's own working directory and input do not keep the mount busy."""
    sandbox.put("a", b"content")
    with mount() as mounted:
        wanted = environment()
        with (mounted / "a").open("rb") as stdin:
            command = ["sh", "-c", 'exec "$@" -u .', "sh", *mount_command()]
            process = subprocess.Popen(command, cwd=mounted.path, stdin=stdin, env=wanted)
        assert process.wait(60) == 0
        assert str(mounted.path) not in mounts()


@pytest.mark.parametrize("name", ["m\u00fc nt", os.fsdecode(b"m\xfcnt")])
def test_a_locale_without_such_characters(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    """A mount point is found by its bytes, whatever the locale makes of them."""
    path = tmp_path / name
    sandbox.put("a", b"content")
    plain = environment(EMPIRICALRUN_KEY=KEY, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    run(*mount_command("--api-url", sandbox.url, path), env=plain)
    try:
        assert (path / "a").read_bytes() == b"content"
        assert "online" in run(*mount_command("--status", path), env=plain).stdout
    finally:
        run(*mount_command("-u", path), env=plain)


READ_ONLY = """
mount --rbind / /mnt
mount -o remount,bind,ro /mnt
exec chroot /mnt "$@"
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes mounts of its own")
def test_a_root_that_cannot_be_written(sandbox: Sandbox, tmp_path: Path) -> None:
    """Mounting needs no folder that can be written to, if the mount point is there."""
    path = tmp_path / "mnt"
    path.mkdir()
    sandbox.put("a", b"content")
    command = apart("sh", "-ec", READ_ONLY, "sh")
    script = 'cd / && "$@" "$MNT" && cat "$MNT/a" && "$@" -u "$MNT"'
    inside: list[str | Path] = ["sh", "-c", script, "sh", *mount_command()]
    variables = {"MNT": str(path), "PYTHONPATH": str(Path.cwd())}
    wanted = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=sandbox.url, **variables)
    assert run(*command, *inside, env=wanted).stdout == "content"


@pytest.mark.skipif(os.getuid() != 0, reason="users need fusermount")
def test_nothing_else_is_installed(sandbox: Sandbox, tmp_path: Path) -> None:
    """Root mounts and unmounts without fusermount and umount, as in a container of this program alone."""
    path = tmp_path / "mnt"
    sandbox.put("a", b"content")
    wanted = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=sandbox.url, PATH="/nowhere")
    run(*mount_command(path), env=wanted)
    with (path / "a").open("rb") as reader:
        assert "is busy" in said(empirical_mount("-u", path, env=wanted, check=False))
        empirical_mount("-u", "--lazy", path, env=wanted)
        assert str(path) not in mounts()
        assert reader.read() == b"content"
    wait_until(lambda: not processes(path), "the end of the process")
