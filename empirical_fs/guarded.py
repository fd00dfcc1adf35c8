"""Guards the process when it is imported, for the import that comes before all others.

Those take a third of a second, in which the key is in the environment already.
"""

from empirical_fs.privacy import guard

guard()
