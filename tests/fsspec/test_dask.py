"""Dask distributed: the scheduler and its workers are processes of their own; only workers have the key."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import fsspec
import httpx
import pytest

from tests.fsspec.dask_tasks import LARGE, is_part, length_of, number_of
from tests.fsspec.recording_relay import RecordingRelay
from tests.support.harness import KEY, Sandbox, environment, noise, wait_until

_TOP = Path(__file__).parents[2]
FILES, SMALL = 400, 100
PAGES = FILES // 100 + 1
NAMES = [f"part-{number:04}.bin" for number in range(FILES)]
ROWS = 40_000
CSV = b"number,text\n" + b"".join(b"%d,%s\n" % (each, b"x" * (each % 50)) for each in range(ROWS))
SIGNED_BY_WORKER = 4 + PAGES
"""Four resources singly, then whole pages of the listing."""


class Cluster:
    """A scheduler without the key, its workers, and a client; all that the scheduler is sent is recorded."""

    def __init__(self, folder: Path, client: Any, relay: RecordingRelay, dashboard: str) -> None:
        self.bag, self.delayed = import_module("dask.bag"), import_module("dask").delayed
        self.folder = folder
        self.client = client
        self.relay = relay
        self.dashboard = dashboard
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def start_worker(self, name: str) -> None:
        arguments = [
            "--no-nanny",
            "--nthreads",
            "2",
            "--name",
            name,
            "--no-dashboard",
            "--death-timeout",
            "60",
        ]
        self.workers[name] = _start("worker", self.folder / name, self.relay.url, *arguments, key=KEY)
        self.client.wait_for_workers(len(self.workers), timeout=60)

    def stop(self) -> None:
        for process in self.workers.values():
            process.terminate()
        for process in self.workers.values():
            process.wait()

    def kill_worker(self, name: str) -> None:
        process = self.workers.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()


def _start(kind: str, log: Path, *arguments: str, key: str | None) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", *arguments]
    variables = environment(
        EMPIRICALRUN_KEY=key,
        PYTHONPATH=str(_TOP),
        DASK_DISTRIBUTED__COMM__COMPRESSION="None",
        DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED="False",
        OPENBLAS_NUM_THREADS="1",
        DASK_TEMPORARY_DIRECTORY=str(log.parent),
    )
    with log.open("wb") as output:
        return subprocess.Popen(program, env=variables, stdout=output, stderr=output, cwd=log.parent)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # Not at the top of this file: it takes half a second, in each process that collects the tests.
    connected = import_module("distributed").Client
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        told = folder / "scheduler.json"
        arguments = ["--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(told)]
        scheduler = _start("scheduler", folder / "scheduler", *arguments, key=None)
        stack.callback(scheduler.wait)
        stack.callback(scheduler.terminate)
        wait_until(told.exists, "the scheduler", 60)
        with connected(scheduler_file=str(told), set_as_default=False) as direct:
            address, services = direct.scheduler.address, direct.scheduler_info()["services"]
        relay = stack.enter_context(RecordingRelay(int(address.rpartition(":")[2])))
        import_module("dask").config.set({"distributed.comm.compression": None})
        client = stack.enter_context(connected(relay.url, set_as_default=False))
        one = Cluster(folder, client, relay, f"http://127.0.0.1:{services['dashboard']}")
        stack.callback(one.stop)
        for name in ("one", "two"):
            one.start_worker(name)
        yield one


@pytest.fixture(scope="module")
def project(shared: Sandbox) -> Sandbox:
    for number, name in enumerate(NAMES):
        (shared.folder / name).write_bytes(noise(SMALL, number))
    shared.put("rows.csv", CSV)
    shared.put("large.bin", LARGE)
    return shared


def computed(cluster: Cluster, collection: Any, **options: Any) -> Any:
    return cluster.client.compute(collection, **options).result(timeout=120)


def asked(sandbox: Sandbox) -> int:
    counts = sandbox.requests()
    return int(counts["list"] + counts["get"])


def test_many_files_are_read_for_a_few_requests_to_the_api(cluster: Cluster, project: Sandbox) -> None:
    project.forget_requests()
    files = fsspec.open_files("empirical://part-*.bin", "rb", api_url=project.url)
    assert (len(files), asked(project)) == (FILES, PAGES)
    for some, tasks in ((files, 10), (files[:100], 100)):
        found = computed(cluster, cluster.bag.from_sequence(some, npartitions=tasks).map(length_of).sum())
        assert found == len(some) * SMALL
    assert asked(project) <= PAGES + 2 * SIGNED_BY_WORKER


def test_a_large_file_in_blocks(cluster: Cluster, project: Sandbox) -> None:
    rows = cluster.bag.read_text(
        "empirical://rows.csv", blocksize=len(CSV) // 10, storage_options={"api_url": project.url}
    )
    assert rows.npartitions >= 10
    total = computed(cluster, rows.map(number_of).sum())
    assert total == sum(range(ROWS))


def test_urls_that_live_for_a_second_are_signed_again_in_each_worker(
    cluster: Cluster, sandbox: Sandbox
) -> None:
    sandbox.put("large.bin", LARGE)
    sandbox.plan(url_expiry_s=1, store_latency_s=0.2)
    fs = fsspec.filesystem("empirical", api_url=sandbox.url)
    fs.ls("")
    pieces = [cluster.delayed(is_part)(fs, start) for start in range(0, len(LARGE), 2**20)]
    sandbox.forget_requests()
    for _ in range(3):
        assert all(computed(cluster, cluster.delayed(list)(pieces)))
    counts = sandbox.requests()
    assert counts["list"] == 0
    assert counts["get"] >= 2


def test_a_worker_that_is_killed_while_it_reads_costs_nothing_but_time(
    cluster: Cluster, sandbox: Sandbox
) -> None:
    for number in range(40):
        (sandbox.folder / f"{number}.bin").write_bytes(noise(SMALL, number))
    sandbox.plan(store_latency_s=0.3)
    files = fsspec.open_files("empirical://*.bin", "rb", api_url=sandbox.url)
    cluster.start_worker("three")
    sandbox.forget_requests()
    running = cluster.client.compute(cluster.bag.from_sequence(files, npartitions=40).map(length_of).sum())
    wait_until(lambda: sandbox.requests()["object"] >= 6, "reads of all workers", 60)
    cluster.kill_worker("three")
    assert running.result(timeout=120) == 40 * SMALL


def test_workers_of_one_host_share_what_is_on_disk(
    cluster: Cluster, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.put("large.bin", LARGE, mtime=time.time() - 3600)
    folder = tmp_path / "cache"
    fs = fsspec.filesystem("empirical", api_url=sandbox.url, cache_dir=folder)
    fs.ls("")
    pieces = cluster.delayed(list)(
        [cluster.delayed(is_part)(fs, start) for start in range(0, len(LARGE), 2**20)]
    )

    def is_kept() -> bool:
        return sum(each.stat().st_blocks * 512 for each in folder.rglob("*") if each.is_file()) > len(LARGE)

    assert all(computed(cluster, pieces, workers=["one"], allow_other_workers=False))
    wait_until(is_kept, "the file on disk")
    sandbox.forget_requests()
    assert all(computed(cluster, pieces, workers=["two"], allow_other_workers=False))
    # Each process asks once, by one byte, whether what is on disk is still what the store has.
    assert {span for span in sandbox.spans() if span != (0, 1)} == set()


def test_the_scheduler_is_sent_no_key_and_no_signed_url(cluster: Cluster, project: Sandbox) -> None:
    files = fsspec.open_files("empirical://part-000*.bin", "rb", api_url=project.url)
    url = str(project.listing()[0]["url"]).partition("?")[0].encode()
    futures = cluster.client.compute([cluster.delayed(length_of)(each) for each in files])
    assert sum(each.result(timeout=60) for each in futures) == 10 * SMALL
    failed = cluster.client.submit(length_of, fsspec.open("empirical://nowhere", api_url=project.url))
    pages = [
        *("info/main/workers.html", "info/main/logs.html", "json/counts.json", "metrics"),
        *(f"info/task/{each.key}.html" for each in (*futures, failed)),
        *(f"info/call-stacks/{each.key}.html" for each in futures[:1]),
    ]
    assert isinstance(failed.exception(timeout=60), FileNotFoundError)
    shown = b"".join(httpx.get(f"{cluster.dashboard}/{page}").content for page in pages)
    logs = b"".join(each.read_bytes() for each in cluster.folder.iterdir() if each.is_file())
    assert b"length_of" in shown
    assert b"length_of" in cluster.relay.seen
    assert project.url.encode() in cluster.relay.seen
    assert b"scheduler" in logs.lower()
    for secret in (KEY.encode(), b"X-Amz", url):
        assert secret not in cluster.relay.seen
        assert secret not in shown
        assert secret not in logs
