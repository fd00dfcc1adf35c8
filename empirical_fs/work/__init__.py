"""How work is done: threads, deadlines, and work that waits without a thread.

threads.py starts and ends threads whatever the system is short of, side_by_side.py does the same work on
many things, jobs.py does work that must not stop, timer.py calls back at a time. waits.py and lanes.py do
work that waits for the network without a thread, progress.py says how far it is.

It knows nothing of what the work is. All may import it.
"""
