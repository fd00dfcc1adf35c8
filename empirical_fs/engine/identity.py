"""What tells projects apart."""

from hashlib import blake2b

import httpx

from empirical_fs.server import Server


def origin_of(api_url: httpx.URL) -> str:
    """The API: its server, and where on that it is."""
    scheme, host, port = Server.of(api_url)
    return f"{scheme}://{host}:{port}{api_url.path.rstrip('/')}"


def owner_of(key: str) -> str:
    """Whose key it is, without the key."""
    return "key " + blake2b(key.encode(errors="surrogateescape"), digest_size=16).hexdigest()
