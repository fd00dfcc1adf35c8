"""What reads one project: its listing, its files' bytes, and the cache on disk, put together.

engine.py creates the parts and closes them; starting.py gets the first listing, from the API or from disk;
disk_cache.py opens the cache on disk as the settings say.

It knows nothing of the kernel, of mount points and of fsspec. mount/ and fsspec/, the two ways to the
files, may import it.
"""
