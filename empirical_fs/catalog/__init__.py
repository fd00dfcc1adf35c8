"""Names and attributes: a snapshot of the project that is replaced whole.

catalog.py has the current snapshot, refresh.py decides when it is replaced, snapshot.py is one (order.py:
in which order programs go through it), names.py chooses the file names, sizes.py finds the sizes that the
API lacks, directory_times.py remembers when the directory changed, desktop_probes.py knows names that are
no reason to fetch a listing, and news.py which troubles are told.

It fetches listings through what it is given, and knows neither HTTP nor the kernel. fuse/ and mount/ may
import it.
"""
