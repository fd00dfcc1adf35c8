"""The Empirical API: resources, their listing, and their signed URLs.

client.py speaks to the API, decoding.py reads its answers, resource.py checks what they say of a resource.
pages.py is one page; listing.py makes one listing of pages that shift while they are read, last_good.py
decides what stays where a listing is not as it should be, settling.py whether the store may lag behind it;
these three are policy. signed_urls.py gives out URLs, url_cache.py keeps them. key_status.py remembers
whether the key is accepted.

It knows HTTP through net/, and neither files nor the kernel. catalog/, reading/, mount/ and doctor/ may
import it.
"""
