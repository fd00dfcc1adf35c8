"""Protects the process when imported; it must be the first import.

The other imports take a third of a second, in which the API key is already in the environment, and the user
may press Ctrl-C.
"""

from empirical_fs.interruptions import end_at_interruptions, hear_signals

end_at_interruptions()
hear_signals()

# isort: split
from empirical_fs.privacy import guard  # noqa: E402 - its own imports take some time, too

guard()
