"""`python -m empirical_fs` is `empirical-mount`."""

from empirical_fs.cli.main import main

main()
