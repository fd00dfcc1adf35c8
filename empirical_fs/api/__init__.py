"""The Empirical API: resources, the listing of them, and their signed URLs.

client.py sends requests to the API, decoding.py reads its answers, resource.py checks each resource in them.
pages.py is one page of the listing; listing.py makes one listing of pages that shift while they are read,
last_good.py decides what to show when a listing has errors, store_lag.py whether the store may lag behind the
listing; these three are policy, without I/O. signed_urls.py hands out signed URLs, url_cache.py keeps them.
key_status.py remembers whether the API accepts the key.

This package uses HTTP through net/, and knows nothing about files or the kernel. catalog/, reading/, mount/
and doctor/ may import it.
"""
