"""The commands: what the user asked for, and one line back.

main.py is `empirical-mount`, arguments.py its arguments, output.py what it says, explaining.py what went
wrong, logs.py where log lines go; open_link.py is `empirical-open-link`. Nothing imports it.
"""
