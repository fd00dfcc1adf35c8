"""Fetches parts of contents from the object store.

pool.py runs the requests, and learns how many in parallel the link rewards (concurrency.py, policy).
range_request.py fetches one range by one request or several; signed_requests.py sends them with signed URLs,
and signs again where the store refuses one. object_store.py does one GET; answer_heads.py reads the head of
its answer. runs.py lets one request fill several parts where memory is short. Only reading/, mount/ and
doctor/ import it.
"""
