"""The command `empirical-sandbox`: what it announces, refuses and logs, and how it ends."""

import io
import json
import os
import signal
import subprocess
import sys
import wave
import zipfile
from importlib import import_module
from pathlib import Path

import httpx
import pytest

from empirical_fs.sandbox.cli import main
from empirical_fs.sandbox.samples import write_samples
from tests.support.served import KEY, Served, await_true, command, serving


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *arguments), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals(tmp_path: Path, number: signal.Signals) -> None:
    """Either signal ends it at once with status 0, stalled bodies and idle connections notwithstanding."""
    (tmp_path / "a").write_bytes(b"x" * 100)
    with serving(tmp_path, tmp_path / ".ready") as served:
        url = served.url("a")
        served.fault("object", {"type": "stall", "after": 10, "seconds": 600})
        with served.store.stream("GET", url) as answer:
            assert next(answer.iter_raw()) == b"x" * 10
            served.process.send_signal(number)
            assert served.process.wait(timeout=15) == 0
        with pytest.raises(httpx.ConnectError):
            served.store.get(url)


def test_announcement(tmp_path: Path) -> None:
    """One line on stdout says what is served and where, and the ready file has the base URL alone."""
    ready = tmp_path / ".ready"
    with serving(tmp_path, ready) as served:
        assert served.process.stdout is not None
        assert served.process.stdout.readline() == f"serving {tmp_path} at {ready.read_text()}\n"
        assert served.page()["pagination"]["total_pages"] == 0
        assert [path.name for path in tmp_path.iterdir()] == [".ready"]


def test_port_in_use(sandbox: Served, tmp_path: Path) -> None:
    """A port that is taken is one clear line and status 1."""
    port = sandbox.base_url.rpartition(":")[2]
    result = run(tmp_path, "--port", port)
    assert (result.returncode, result.stdout) == (1, "")
    assert (
        result.stderr
        == f"empirical-sandbox: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
    )


def test_no_directory(tmp_path: Path) -> None:
    """A folder that is none is one clear line and status 1."""
    result = run(tmp_path / "nothing")
    assert (result.returncode, result.stderr) == (
        1,
        f"empirical-sandbox: {tmp_path}/nothing is not a directory\n",
    )


def test_bad_plan(tmp_path: Path) -> None:
    """A plan that is none is one clear line and status 1."""
    (tmp_path / ".plan").write_text('{"sed": 1}')
    result = run(tmp_path, "--plan", str(tmp_path / ".plan"))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "unknown field `sed`" in result.stderr


def test_bad_sidecar(tmp_path: Path) -> None:
    """A sidecar that cannot be read at the start is one clear line and status 1."""
    (tmp_path / ".sandbox.json").write_text("[]")
    result = run(tmp_path)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1


def refusal(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """The status with which the command ends that is not used rightly, in this process."""
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::"])
def test_loopback_only(
    tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It serves no address that another machine could reach."""
    assert refusal(["empirical-sandbox", str(tmp_path), "--host", host], monkeypatch) == 2
    assert "loopback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "70000"),
        ("--port", "x"),
        ("--key", ""),
        ("--what",),
        ("--public-host", "127.0.0.1"),
        ("--public-host", "a b:80"),
        ("--public-host", "127.0.0.1:x"),
        ("--public-host", "ftp://127.0.0.1:80"),
    ],
)
def test_usage(tmp_path: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong usage is status 2."""
    assert refusal(["empirical-sandbox", str(tmp_path), *arguments], monkeypatch) == 2


@pytest.mark.parametrize(
    ("signed_by", "scheme"),
    [("store", ""), ("store", "https://"), ("content-endpoint", ""), ("content-endpoint", "http://")],
)
def test_public_host(tmp_path: Path, signed_by: str, scheme: str) -> None:
    """URLs are signed for the public host, and open their objects only as asked for by that name."""
    (tmp_path / "a").write_bytes(b"abc")
    with serving(tmp_path, tmp_path / ".ready", "--public-host", f"{scheme}elsewhere.example:80") as served:
        served.plan(signed_by=signed_by)
        url = served.url("a")
        origin = f"{scheme or 'http://'}elsewhere.example:80"
        assert url.startswith(f"{origin}/")
        here = url.replace(origin, served.base_url)
        assert served.store.get(here, headers={"host": "elsewhere.example:80"}).content == b"abc"
        if signed_by == "store":
            assert served.store.get(here).status_code == 403


def test_plan_file(tmp_path: Path) -> None:
    """A plan file is in force from the first request on."""
    (tmp_path / ".plan").write_text(
        '{"faults": [{"on": "list", "action": {"type": "status", "status": 418}}]}'
    )
    with serving(tmp_path, tmp_path / ".ready", "--plan", str(tmp_path / ".plan")) as served:
        assert served.api.get("/api/resources").status_code == 418


def test_key_of_the_environment(tmp_path: Path) -> None:
    """Without --key, the key is the one of the environment."""
    ready = tmp_path / ".ready"
    arguments = [part for part in command(tmp_path, "--ready-file", str(ready)) if part not in ("--key", KEY)]
    environment = {**os.environ, "EMPIRICALRUN_KEY": "from-the-environment"}
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            await_true(ready.exists)
            headers = {"authorization": "Bearer from-the-environment"}
            assert httpx.get(f"{ready.read_text()}/api/resources", headers=headers).status_code == 200
        finally:
            process.terminate()


def test_logged_requests(tmp_path: Path) -> None:
    """With --log-requests, each request is a line of JSON on stderr."""
    ready = tmp_path / ".ready"
    with subprocess.Popen(
        command(tmp_path, "--ready-file", str(ready), "--log-requests"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            await_true(ready.exists)
            assert httpx.get(f"{ready.read_text()}/api/resources?page=3").status_code == 401
        finally:
            process.terminate()
        (line,) = process.communicate(timeout=60)[1].splitlines()
    entry = json.loads(line)
    assert (entry["kind"], entry["page"], entry["status"]) == ("list", 3, 401)


def test_samples(tmp_path: Path) -> None:
    """--samples fills a new folder with resources of many kinds, each of which opens as what it is."""
    folder = tmp_path / "new" / "samples"
    with serving(folder, tmp_path / "ready", "--samples") as served:
        resources = served.resources()
        names = sorted(resource["name"] for resource in resources)
        contents = {
            r["name"]: served.store.get(r["url"]).content for r in resources if r["size_bytes"] is not None
        }
    assert names == [
        "Empirical",
        "checkout-flow.docx",
        "config.json",
        "config.json",
        "empty.log",
        "fixtures.zip",
        "login-page.png",
        "notification.wav",
        "release notes for QA.txt",
        "test-report.pdf",
        "test-users.csv",
        "Übersicht \N{EN DASH} 概要.txt",
    ]
    assert all(resource["created_at"].startswith("2026-") for resource in resources)
    # Not at the top of this file: each process that collects the tests would take a tenth of a second more.
    docx, images = import_module("docx"), import_module("PIL.Image")
    assert docx.Document(io.BytesIO(contents["checkout-flow.docx"])).paragraphs[0].text == "Checkout flow"
    assert contents["test-report.pdf"].count(b"/Type /Page\n") == 2
    assert contents["test-users.csv"].count(b"\n") == 501
    assert contents["empty.log"] == b""
    with images.open(io.BytesIO(contents["login-page.png"])) as picture:
        assert picture.size == (480, 320)
    with wave.open(io.BytesIO(contents["notification.wav"])) as sound:
        assert sound.getnframes() == sound.getframerate()
    with zipfile.ZipFile(io.BytesIO(contents["fixtures.zip"])) as archive:
        assert archive.testzip() is None


def test_samples_are_the_same(tmp_path: Path) -> None:
    """Samples are equal to the byte on every run, and one that was changed is left alone."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        write_samples(folder)
    files = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file
        assert (first / file).stat().st_mtime_ns == (second / file).stat().st_mtime_ns
    (first / "empty.log").write_bytes(b"changed")
    write_samples(first)
    assert (first / "empty.log").read_bytes() == b"changed"
