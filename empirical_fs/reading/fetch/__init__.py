"""Gets parts of contents from the object store.

pool.py does the requests and learns from them what the link rewards (concurrency.py, policy).
range_request.py is one range: sign, ask, resume, sign again. object_store.py is one GET, answer_heads.py
what the head of its answer says. runs.py joins requests where memory is short. Only reading/, mount/ and
doctor/ import it.
"""
