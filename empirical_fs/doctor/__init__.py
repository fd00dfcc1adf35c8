"""Looks at everything that a mount needs, and changes nothing.

machine.py looks at this machine, project.py at the key, the API and the store, living.py asks a mount that
has them; attempts.py gives each look its time, and diagnoses.py, which is pure, turns what was seen into
verdicts and advice. Only cli/ imports it.
"""
