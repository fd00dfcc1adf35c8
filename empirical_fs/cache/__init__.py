"""Keeps blocks of resources on disk, so that they are read from there after a remount and by other processes.

    store             what others use
    cached            one version of one resource
    keys              what identifies a resource and its versions
    record            the format of a record, and checksums
    bounds            whether more fits
    eviction          what is removed first
    disk_failures     what an errno means
    disk_io           the system calls
    folder            the places of the files
    files             the open files of a version
    block_states      what this process knows of the blocks of one
    version_files     opens, creates and removes them
    verified_files    which files were verified before
    reservations      reserves room before anything is written
    counters          what each process has reserved
    scan              what is on disk
    write_queue       what waits to be written
    writer            the thread that writes
    closer            closes files
    gate              leaves a disk alone that does not answer
    folder_probe      whether the folder answers, before it is used
    upkeep            what an open version needs of its store
    tallies           counts
    inspection        lists, checks and removes what is on disk
    survey            does that for commands, with all of it
    listing_format    the format of the last good listing, without I/O
    listing_file      reads and writes its file

keys, record, bounds, eviction and disk_failures do no I/O and start no threads. The package
knows nothing of HTTP and nothing of the kernel; it imports `work`, `settings` and the modules below.
reading/, mount/ and cli/ may import it.

What makes it safe without locks, without an order of writes and without fsync: every block has a checksum in
the record, seeded with what it is a block of. Whatever is lost, torn, zeroed or foreign does not match, and
counts as absent.
"""
