"""What reads one project: its listing, its files' bytes, and the cache on disk, put together.

    engine          creates the parts and closes them, for a mount and for fsspec
    starting        gets the first listing, from the API or from disk
    disk_cache      opens the cache on disk as the settings say
    identity        tells projects apart
    project         one project for callers that wait for what they read
    projects        the projects that are open in this process, made anew after a fork
    open_file       one open file for such a caller
    ranges          whole ranges of files by name, many at once
    gathering       waits for ranges of open files, in order
    handed_listing  the listing as one process hands it to others, without signed URLs and keys

It knows nothing of the kernel, of mount points and of fsspec. mount/ and fsspec/, the two ways to the
files, may import it.
"""
