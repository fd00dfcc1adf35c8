"""The file names and attributes: an immutable snapshot of the project, which each refresh replaces.

catalog.py holds the current snapshot, refresh.py decides when to replace it, snapshot.py is one snapshot
(walk_order.py: an order in which programs walk it), names.py chooses the file names, sizes.py finds the sizes
that the API lacks, doubts.py remembers where the store disagrees with the listing, directory_times.py
remembers when the directory changed, desktop_probes.py knows names whose look-up causes no refresh,
log_limit.py limits how often troubles are logged, and listing_to_keep.py tells what of the listing is to be
kept on disk for later mounts.

It fetches listings through functions that it is given, and knows nothing about HTTP or the kernel. fuse/ and
mount/ may import it.
"""
