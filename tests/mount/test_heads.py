"""Programs that look at the beginning of files: what they do not read is not asked for."""

import os
from collections import Counter

from tests.conftest import Mount
from tests.support.harness import Sandbox, noise, wait_until

KIB, MIB = 2**10, 2**20
LATENCY = 0.2


def test_a_look_at_the_head_costs_little(sandbox: Sandbox, mount: Mount) -> None:
    """Who reads 64 KiB as ripgrep does, and closes the file, costs no more than the kernel makes of that."""
    names = [f"{number:02}.bin" for number in range(10)]
    for number, name in enumerate(names):
        sandbox.put(name, noise(4 * MIB, number))
    sandbox.plan(store_latency_s=0.08)
    with mount() as mounted:
        for name in names:
            descriptor = os.open(mounted / name, os.O_RDONLY)
            assert len(os.read(descriptor, 3)) == 3
            assert len(os.read(descriptor, 64 * KIB - 3)) == 64 * KIB - 3
            os.close(descriptor)
        asked = sum(stop - start for start, stop in sandbox.spans())
    # Its windows are of 16, 32, 64 and 128 KiB, of which the last is not needed; a busy machine may be late.
    assert asked <= len(names) * 2 * 64 * KIB + 4 * 128 * KIB


def test_the_beginning_costs_one_round_trip(sandbox: Sandbox, mount: Mount) -> None:
    """The first 256 KiB of a file, read at once, are asked for before anything of them is here."""
    content = noise(2 * MIB)
    sandbox.put("photo.jpg", content)
    sandbox.plan(store_latency_s=2.0)
    with mount() as mounted:
        descriptor = os.open(mounted / "photo.jpg", os.O_RDONLY)
        assert os.read(descriptor, 256 * KIB) == content[: 256 * KIB]
        os.close(descriptor)
        asked = [each for each in sandbox.requests()["log"] if each["kind"] == "object"]
    begun = [each["at"] for each in asked if int(each["range"][6:].partition("-")[0]) < 256 * KIB]
    assert max(begun) - min(begun) < 1.9


def test_a_walk_that_reads_larger_files_whole(sandbox: Sandbox, mount: Mount) -> None:
    """Once files were read whole, the next ones are fetched ahead, whatever their size, each byte once."""
    files = {f"{number:02}.jpg": noise(MIB + number, number) for number in range(12)}
    for name, content in files.items():
        sandbox.put(name, content)
    numbers = {sandbox.id_of(name): number for number, name in enumerate(sorted(files))}
    sandbox.plan(store_latency_s=LATENCY)

    def asked() -> Counter[int]:
        log = sandbox.requests()["log"]
        return Counter(numbers[each["id"]] for each in log if each["kind"] == "object")

    with mount() as mounted:
        for name in sorted(files)[:5]:
            assert (mounted / name).read_bytes() == files[name]
        wait_until(lambda: asked()[5], "the file after them")
        for name in sorted(files)[5:]:
            assert (mounted / name).read_bytes() == files[name]
        requests = sandbox.requests()
        assert all(asked()[number] == 1 for number in range(5, 12))
    assert requests["object_bytes"] <= 1.02 * sum(map(len, files.values()))
