"""The key and the signed URLs are in nothing that leaves the process or is shown."""

import errno
import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from empirical_fs.fsspec import EmpiricalFileSystem
from tests.fsspec.conftest import OpenFs
from tests.support.harness import KEY, Sandbox, noise


def shown(one: Any, file: Any) -> str:
    """All that is stored, sent or shown of a file system and of an open file."""
    texts = [
        repr(one),
        str(one),
        repr(file),
        str(file),
        one.to_json(),
        json.dumps(one.to_dict(), default=str),
    ]
    texts += [repr(one.storage_options), one._fs_token, one.__dask_tokenize__(), one.fsid, one.ukey("a.bin")]
    texts += [repr(one.ls("")), repr(file.info()), repr(file.details), repr(one.tree()), repr(file.version)]
    return " ".join([*texts, pickle.dumps(one).decode("latin-1"), pickle.dumps(file).decode("latin-1")])


def test_neither_key_nor_url_is_in_what_is_stored_or_shown(
    sandbox: Sandbox, fs: OpenFs, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.put("a.bin", noise(1000))
    url = sandbox.listing()[0]["url"]
    caplog.set_level(logging.DEBUG)
    one = fs()
    with one.open("a.bin") as file:
        file.read(10)
        text = shown(one, file) + caplog.text
    assert KEY not in text
    assert "X-Amz" not in text
    assert url.partition("?")[0] not in text


@pytest.mark.parametrize("name", ["key", "token", "api_key", "KEY", "password", "secret"])
def test_the_key_is_no_option(name: str) -> None:
    with pytest.raises(ValueError, match="EMPIRICALRUN_KEY") as caught:
        fsspec.filesystem("empirical", **{name: KEY})
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert KEY not in repr(EmpiricalFileSystem._cache)


def test_a_wrong_option_is_one_line() -> None:
    for options, words in (
        ({"refresh": "soon"}, "storage option refresh"),
        ({"memory": "1"}, "storage option memory: must be 1M or more"),
        ({"colour": 1}, "no storage option 'colour'"),
        ({KEY: 1}, "no storage option of such a name"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            fsspec.filesystem("empirical", **options)
        assert KEY not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_without_a_key_the_first_use_says_what_to_do(
    fs: OpenFs, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.put("a.bin", b"1")
    monkeypatch.delenv("EMPIRICALRUN_KEY")
    one = fs()  # a scheduler has no key, and must be able to pass a file system on
    with pytest.raises(OSError, match="set EMPIRICALRUN_KEY, or give the storage option key_file"):
        one.ls("")
    monkeypatch.setenv("EMPIRICALRUN_KEY", KEY)
    assert one.cat("a.bin") == b"1"


def test_a_refused_key_is_a_permission_error(fs: OpenFs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPIRICALRUN_KEY", "another-key-9876543210")
    asks: list[Callable[[Any], object]] = [
        lambda one: one.ls(""),
        lambda one: one.exists("a"),
        lambda one: one.open("a"),
    ]
    for ask in asks:
        with pytest.raises(PermissionError, match="check EMPIRICALRUN_KEY") as caught:
            ask(fs())
        assert caught.value.errno == errno.EACCES
        assert "another-key" not in str(caught.value)


def test_the_key_may_be_in_a_file_and_the_rest_in_a_profile(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.put("a.bin", b"1")
    monkeypatch.delenv("EMPIRICALRUN_KEY")
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    folder = tmp_path / "empirical-fs"
    folder.mkdir(mode=0o700)
    (folder / "config.toml").write_text(f'[profiles.mine]\napi_url = "{sandbox.url}"\nkey_file = "../key"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert fsspec.filesystem("empirical", profile="mine").cat("a.bin") == b"1"
    other = fsspec.filesystem("empirical", api_url=sandbox.url, key_file=tmp_path / "key")
    assert pickle.loads(pickle.dumps(other)).cat("a.bin") == b"1"
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(OSError, match="others"):
        fsspec.filesystem("empirical", api_url=sandbox.url, key_file=str(tmp_path / "key"), refresh=1).ls("")
