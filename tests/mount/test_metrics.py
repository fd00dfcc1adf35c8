"""The metrics of a real mount, as Prometheus fetches them."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.samples import Sample

from tests.conftest import Mount
from tests.support.harness import (
    KEY,
    Mounted,
    Sandbox,
    empirical_mount,
    environment,
    mount_command,
    mounted,
    mounts,
    noise,
    run,
    said,
    wait_until,
)
from tests.unit.metrics.measured import families

MIB = 2**20


@pytest.fixture
def address() -> str:
    """An address and a port that no other test uses."""
    number = os.getpid() % 2**16
    return f"127.23.{number >> 8}.{number & 255}:9000"


def scraped(address: str) -> str:
    with httpx.Client(trust_env=False, verify=False) as client:
        return client.get(f"http://{address}/metrics").raise_for_status().text


def samples(text: str) -> dict[tuple[str, ...], float]:
    found: list[Sample] = [sample for family in families(text) for sample in family.samples]
    return {(each.name, *each.labels.values()): each.value for each in found}


def status(mounted: Mounted) -> dict[str, Any]:
    (report,) = json.loads(empirical_mount("--status", "--json", mounted.path).stdout)
    assert isinstance(report, dict)
    return report


def test_what_is_counted(sandbox: Sandbox, mount: Mount, address: str, tmp_path: Path) -> None:
    """The numbers are those of `--status`; nothing names what is served; the port is free after the end."""
    sandbox.put("secret report.bin", noise(3 * MIB))
    with mount("--metrics", address, "--cache-dir", tmp_path / "cache", "--cache-min-free", "0") as served:
        assert samples(scraped(address))["empirical_reads_total",] == 0
        assert (served / "secret report.bin").read_bytes() == noise(3 * MIB)
        wait_until(lambda: status(served)["cache"]["blocks_written"] == 48, "the blocks of the file")
        text, report = scraped(address), status(served)
        found = samples(text)
        assert found["empirical_reads_total",] == report["reads"] > 0
        assert found["empirical_read_bytes_total",] == report["bytes_read"] >= 3 * MIB
        assert found["empirical_fetched_bytes_total",] == report["bytes_fetched"] == 3 * MIB
        waits = found["empirical_read_wait_seconds_count",]
        assert waits == report["read_waits"]["count"] == report["reads"] - report["reads_from_memory"] > 0
        assert (
            found["empirical_requests_total", "success", "store"]
            == report["requests"]["store"]["success"]
            > 0
        )
        assert (
            found["empirical_requests_total", "success", "api"] == report["requests"]["api"]["success"] == 1
        )
        assert found["empirical_request_wait_seconds_count", "api"] == 1
        assert found["empirical_cache_blocks_written_total",] == 48
        assert found["empirical_cache_misses_total",] == report["cache"]["misses"] > 0
        assert (found["empirical_resources",], found["empirical_resources_size_bytes",]) == (1, 3 * MIB)
        assert 0 <= found["empirical_listing_age_seconds",] < 60
        assert found["empirical_threads",] > 1
        assert found["process_open_fds",] > 3
        for private in ("secret", "report", str(tmp_path), sandbox.url, "127.0.0.1", KEY):
            assert private not in text
    host, _, port = address.rpartition(":")
    socket.create_server((host, int(port))).close()


@pytest.mark.warns("read /a: ")
def test_failures_are_counted(sandbox: Sandbox, mount: Mount, address: str) -> None:
    """A read that fails counts by its errno, its wait, and its requests by their answers."""
    sandbox.put("a", b"a")
    sandbox.plan(faults=[{"on": "object", "action": {"type": "status", "status": 500}}])
    with mount("--metrics", address, "--timeout", "0.5") as served:
        with pytest.raises(OSError, match=os.strerror(5)):
            (served / "a").read_bytes()
        found = samples(scraped(address))
        assert found["empirical_errors_total", "EIO"] >= 1
        assert found["empirical_requests_total", "server_error", "store"] >= 2
        assert found["empirical_read_wait_seconds_count",] >= 1
        assert found["empirical_reads_total",] == 0


def test_a_mount_that_cannot_have_its_port(sandbox: Sandbox, address: str, tmp_path: Path) -> None:
    """One line says so, before anything is mounted, whatever gave the port."""
    host, _, port = address.rpartition(":")
    given = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=sandbox.url, EMPIRICAL_METRICS=address)
    with socket.create_server((host, int(port))):
        done = empirical_mount(tmp_path / "mnt", check=False, env=given)
    assert (done.returncode, f"at {address}: the port is in use" in said(done)) == (1, True)
    assert not (tmp_path / "mnt").exists()
    assert sandbox.requests()["list"] == 0


def test_without_the_extra(sandbox: Sandbox, address: str, tmp_path: Path) -> None:
    """One line says what to install."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['prometheus_client'] = None")
    given = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=sandbox.url, PYTHONPATH=str(tmp_path))
    place = tmp_path / "mnt"
    done = run(*mount_command("--metrics", address, place), check=False, env=given)
    assert (done.returncode, "'empirical-fs[metrics]'" in said(done)) == (1, True)
    assert str(place) not in mounts()
    # Without the option nothing of it is imported.
    with mounted(place, sandbox.url, variables={"PYTHONPATH": str(tmp_path)}) as served:
        assert served.names() == set()
