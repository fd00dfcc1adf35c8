"""The tests: what is tested is a folder each, and what tests are made with is in two more.

unit/       modules, without a mount; its folders are those of the packages
mount/      the real program on real mounts, read by real programs
sandbox/    the sandbox server
packaging/  the wheel, the Debian package, the man page, the completions, the examples

support/    what tests share: mounts, servers, proxies, a cable that can be cut, hostile answers
models/     what a mount has to be like: plain models, and ext4, beside a real mount

bench/      what `scripts/bench` runs: our mount and rclone's, side by side
soak/       what `scripts/soak` runs: reads for minutes or hours while faults are injected
pictures/   what `scripts/pictures` runs

The first four hold tests alone (`test_*.py`, and fixtures in `conftest.py`); the others hold none. `models`
imports from `support`, and `support` from nothing here.
"""
