"""Reads the bytes of resources: decides which ranges to fetch, and how far to read ahead.

    open_files            the contents that are open; handle: one open file
    reader                reads one content for all its handles; pending_read: one read
    supply                begins to fetch the bytes of one content
    cursor                where a handle reads
    content               one version of the bytes
    version               decides which answers of the store belong to a version; policy
    fetch/                fetches parts of contents from the object store

    read_ahead            how far to read ahead; policy
    read_ahead_detection  which reads are the kernel's own read-ahead; policy
    habits                how far programs read in files; policy
    walk_prefetch         fetches files before a directory walk reaches them
    walk_policy           decides which files these are; policy

    parts, part           the ranges that have arrived or are being fetched
    buffers               keeps their bytes in memory or in a file
    budget                limits the memory; policy
    download              the download of a whole content from a server without ranges
    spool_space           whether the local disk has room for such a download

    disk                  what the disk cache has of the open contents
    confirming            asks the store whether that is current
    whole_files           which files of the disk cache the kernel may read by itself
    prefetch              fetches whole files into the disk cache, for commands
    batch                 the files that a command wants; wanted_file: one of them
    young_versions        notes which of them the listing means
    redated_versions      notes which of them were only renamed or re-dated
    prefetch_policy       which file comes next, and how many requests at once; policy

A module marked as policy does no I/O and starts no threads. The package knows nothing of the kernel. fuse/,
mount/ and doctor/ may import it.
"""
