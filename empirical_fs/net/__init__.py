"""HTTP: connections, and what may go over them.

client.py is the one way to the network, http11.py its transport: dialing.py makes a connection (connecting.py
by RFC 8305, with certificates.py), answer.py reads answers with mistrust (heads.py their heads), streams.py
and incoming.py read bodies straight to where they are kept. Through a proxy (proxies.py says which) all is
the same once tunnels.py has had it connect; nested_tls.py is for one that is spoken to by TLS itself.
network_failures.py says in words what failed, in_between.py whether somebody else answered, vouching.py whose
page it is that says "not found". retry.py says when to try again, circuit_breaker.py which servers are out of
reach (samples.py: what they are asked to find out), pace.py and turns.py how many requests a server bears.
idle_connections.py and recent.py have bounds for what is kept of servers. urls.py and addresses.py say where
a request may go; tracing.py what `-vv` tells of it.

It knows nothing of the API or of files. api/, reading/ and doctor/ may import it.
"""
