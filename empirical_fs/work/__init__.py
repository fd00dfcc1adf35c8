"""Runs work: threads, timers, and tasks that wait for the network without a thread.

threads.py starts threads safely even when memory is short; parallel.py does the same work on many objects in
parallel; jobs.py does work that must not stop; timer.py calls functions at given times. waits.py defines
tasks as steps with waits between them, lanes.py runs many such tasks in a few threads, sockets.py waits for
their sockets, and reactor.py for all else. progress.py reports progress. owner.py tells whether a process has
ended.

The package does not know what the work is. All other packages may import it.
"""
