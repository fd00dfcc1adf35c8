"""Guards the process when it is imported, for the import that comes before all others.

Those take a third of a second, in which the key is in the environment already, and somebody may press Ctrl-C.
"""

from empirical_fs.interruptions import end_at_interruptions, hear_signals

end_at_interruptions()
hear_signals()

# isort: split
from empirical_fs.privacy import guard  # noqa: E402 - what it imports takes some time, too

guard()
