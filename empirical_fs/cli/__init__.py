"""The commands: they do what the user asked for, and answer on stdout, or with one line on stderr.

main.py is `empirical-mount`; it imports the modules of a command only for that command, so that each starts
at once. arguments.py defines the arguments, mount_settings.py combines them with the environment and the
configuration file, places.py resolves the paths among them. mounting.py mounts, showing_status.py asks mounts
for their state (status_table.py formats it), examining.py is `--doctor`, caching.py the commands of the cache
on disk (cache_table.py formats what they tell, units.py numbers). output.py writes answers and errors,
progress_bar.py shows progress, logs.py configures the log.
open_link.py is `empirical-open-link`. No other package imports this one.
"""
