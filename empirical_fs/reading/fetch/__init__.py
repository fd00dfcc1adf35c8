"""Fetches parts of contents from the object store.

pool.py runs the requests, and learns how many in parallel the link rewards (concurrency.py, policy).
range_request.py fetches one range: it signs the URL, sends requests, resumes, and signs again.
object_store.py does one GET; answer_heads.py reads the head of its answer. runs.py lets one request fill
several parts where memory is short. Only reading/, mount/ and doctor/ import it.
"""
