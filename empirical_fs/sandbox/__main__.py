"""Runs the sandbox as `python -m empirical_fs.sandbox`."""

from empirical_fs.sandbox.cli import main

if __name__ == "__main__":
    main()
