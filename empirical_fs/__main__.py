"""`python -m empirical_fs` runs `empirical-mount`."""

from empirical_fs.cli.main import main

main()
