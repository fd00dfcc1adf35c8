"""Keeps blocks of resources on disk, so that they are read from there after a remount and by other processes.

store.py: what others use; cached.py: one version of one resource.
keys.py: what identifies a resource and its versions; record.py: the format of a record, and checksums.
bounds.py: whether more fits; eviction.py: what is removed first; disk_failures.py: what an errno means.
folder.py: the places of the files; files.py: the open files of a version; making.py: opens, creates and
removes them; disk_io.py: the system calls.
room.py: reserves room before anything is written; counters.py: what each process has reserved; scan.py: what
is on disk. waiting.py: what waits to be written; writer.py: the thread that writes. tallies.py: counts.
upkeep.py: what an open version needs of its store; stamp.py: which files were verified before.
gate.py: leaves a disk alone that does not answer; closing.py: closes files; probing.py: whether the folder
answers, before it is used.
inspection.py: lists, checks and removes what is on disk; survey.py: does that for commands, with all of it.
kept_listing.py: the format of the last good listing, without I/O; listing.py: reads and writes its file.

keys.py, record.py, bounds.py, eviction.py and disk_failures.py do no I/O and start no threads. The package
knows nothing of HTTP and nothing of the kernel; it imports `work`, `settings` and the modules below.
reading/, mount/ and cli/ may import it.

What makes it safe without locks, without an order of writes and without fsync: every block has a checksum in
the record, seeded with what it is a block of. Whatever is lost, torn, zeroed or foreign does not match, and
counts as absent.
"""
