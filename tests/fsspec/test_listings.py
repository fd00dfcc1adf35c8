"""The listing gets old as in a mount: opening asks for none, and looking gets a fresh one when it is due."""

import time
from pathlib import Path

import pytest

from tests.fsspec.conftest import OpenFs
from tests.support.harness import Sandbox, noise, wait_until


def test_opening_known_files_lists_nothing(sandbox: Sandbox, fs: OpenFs) -> None:
    for number in range(30):
        sandbox.put(f"{number}.bin", noise(100, number))
    one = fs()
    one.ls("")
    sandbox.forget_requests()
    for number in range(30):
        with one.open(f"{number}.bin") as file:
            assert file.read() == noise(100, number)
        assert one.exists(f"{number}.bin")
        assert one.size(f"{number}.bin") == 100
    asked = sandbox.requests()
    assert (asked["list"], asked["get"]) == (0, 0)


def test_a_new_file_is_seen_once_the_listing_is_old(sandbox: Sandbox, fs: OpenFs) -> None:
    sandbox.put("old", b"1")
    lasting, short = fs(refresh=3600), fs(refresh=0)
    assert lasting.ls("", detail=False) == short.ls("", detail=False) == ["old"]
    sandbox.put("new", b"2")
    assert not lasting.exists("new")
    assert short.exists("new")
    assert short.ls("", detail=False) == ["old", "new"]
    assert short.cat("new") == b"2"
    lasting.invalidate_cache()
    assert lasting.ls("", detail=False) == ["old", "new"]
    sandbox.put("newer", b"3")
    assert len(lasting.ls("", refresh=True)) == 3


@pytest.mark.may_warn("the listing could not be refreshed")  # the last refresh may not end in time
def test_a_refresh_that_began_before_is_not_enough(sandbox: Sandbox, fs: OpenFs) -> None:
    """Each access here begins a refresh for the next one, whose listing may be older than an upload."""
    one = fs(refresh=0)
    assert one.ls("") == []
    sandbox.forget_requests()
    sandbox.plan(faults=[{"on": "list", "action": {"type": "stall", "after": 10, "seconds": 0.3}}])
    assert one.ls("") == []
    wait_until(lambda: sandbox.requests()["list"] > 1, "the refresh for the next access")
    sandbox.put("new", b"1")
    assert one.ls("", detail=False) == ["new"]


@pytest.mark.may_warn("could not be refreshed|out of reach|does not answer")
def test_the_last_listing_serves_while_the_api_is_down(
    sandbox: Sandbox, fs: OpenFs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empirical-fs").mkdir(mode=0o700)
    (tmp_path / "empirical-fs" / "config.toml").write_text("timeout = 2\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    sandbox.put("a", b"1")
    one = fs(refresh=0)
    assert one.cat("a") == b"1"
    sandbox.plan(faults=[{"on": "list", "action": {"type": "status", "status": 500}}])
    assert one.ls("", detail=False) == ["a"]
    assert one.cat("a") == b"1"


def test_an_api_that_is_not_there_is_one_line(fs: OpenFs, sandbox: Sandbox) -> None:
    sandbox.put("a", b"1")
    sandbox.plan(
        faults=[{"on": "list", "times": 50, "action": {"type": "status", "status": 404, "body": "x"}}]
    )
    one = fs()
    with pytest.raises(OSError, match="API") as caught:
        one.ls("")
    assert "\n" not in str(caught.value)
    sandbox.plan()
    assert one.ls("", detail=False) == ["a"]


def test_a_size_that_the_api_does_not_give_is_found(sandbox: Sandbox, fs: OpenFs) -> None:
    sandbox.put("a.bin", noise(1000))
    sandbox.override({"a.bin": {"size_bytes": None}})
    one = fs()
    assert one.size("a.bin") == 1000
    assert one.ls("")[0]["size"] == 1000
    assert one.cat("a.bin") == noise(1000)


def test_a_link_is_a_file_that_opens_it(sandbox: Sandbox, fs: OpenFs) -> None:
    sandbox.put("sheet", b"")
    sandbox.override({"sheet": {"url": "https://example.com/sheet", "size_bytes": None}})
    one = fs()
    text = b"[InternetShortcut]\r\nURL=https://example.com/sheet\r\n"
    assert one.info("sheet.url")["size"] == len(text)
    assert one.cat("sheet.url") == text
    assert one.cat_ranges(["sheet.url"], [1], [5]) == [text[1:5]]
    assert one.open("sheet.url").read() == text


def test_the_disk_cache_serves_a_second_process(sandbox: Sandbox, fs: OpenFs, tmp_path: Path) -> None:
    content = noise(3 * 2**20)
    sandbox.put("a.bin", content, mtime=time.time() - 3600)  # the store is known to have it
    first = fs(cache_dir=f"{tmp_path}/cache")
    assert first.cat("a.bin") == content
    first._here.project().engine.cache.store.drain(10)
    sandbox.forget_requests()
    second = fs(cache_dir=f"{tmp_path}/cache", memory="16M")  # another engine on the same folder
    assert second.cat("a.bin") == content
    assert int(sandbox.requests()["object_bytes"]) <= 1  # whether the store still has it is asked by one byte
