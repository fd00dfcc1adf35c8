"""Shows what was counted to Prometheus, as OpenMetrics.

measured.py: the numbers; measuring.py: takes them from the parts that read; families.py: the table of the
metrics, which names them; collector.py: both, for prometheus-client, which any program can register with its
own. answers.py: the answers to scrapes over HTTP; endpoint.py: the socket and the thread that serve them.

No label has a value that a user, a file, a host or a server chooses. The package knows nothing of the kernel.
families.py and what it imports do no I/O. collector.py, answers.py and endpoint.py need the extra `metrics`.
mount/ may import it, and so may what serves fsspec.
"""
