"""Checks everything that a mount needs, and changes nothing.

machine.py checks this machine; project.py checks the key, the API and the store; living.py asks a running
mount, which has them. attempts.py limits the time of each check, and diagnoses.py, which is pure, turns what
was found into verdicts and advice. Only cli/ imports this package.
"""
