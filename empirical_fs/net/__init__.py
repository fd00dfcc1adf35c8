"""HTTP: connections, and the requests and answers that go over them.

Every request goes through client.py, to a destination.py. Its transport is http11.py: dialing.py makes a
connection (connecting.py follows RFC 8305, certificates.py chooses the trusted certificates), heads.py reads
and checks the heads of answers, streams.py and incoming.py read bodies directly into the caller's memory
(chunks.py reads those without a length).
proxies.py chooses the proxy; tunnels.py asks it to connect to the server, and nested_tls.py is for a proxy
that is itself reached over TLS. network_failures.py describes failures in words, intermediaries.py detects
answers that are not from the server, and not_found_pages.py decides whether a "not found" page is the
server's own.

retry.py decides when to try again, circuit_breaker.py which servers are unreachable (probe_requests.py has
the requests with which it probes them), pace.py and turns.py how many requests a server gets.
idle_connections.py and lru_table.py limit what is kept per server. urls.py and addresses.py decide where a
request may go; tracing.py writes the log lines of `-vv`.

This package knows nothing about the API or about files. api/, reading/ and doctor/ may import it.
"""
