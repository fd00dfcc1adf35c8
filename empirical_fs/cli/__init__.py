"""The commands: what the user asked for, and one line back.

main.py is `empirical-mount`; it imports the modules of a command only for that command, so that each starts
at once. arguments.py has the arguments, asked_for.py what they come to with the environment and the
configuration file, places.py the paths among them. mounting.py mounts, asking.py asks mounts
(status_table.py shows what they say), examining.py is `--doctor`. output.py says it, explaining.py what
went wrong, progress_bar.py how far it is, logs.py is where log lines go. open_link.py is
`empirical-open-link`. Nothing imports this package.
"""
