"""The settings: which there are, and which values the user gave.

options.py lists every setting, values.py parses their values, mount_options.py parses `-o`, misspelt.py
suggests the option that a user may have meant. config_file.py reads the configuration file, configuration.py
merges the sources: flags come before the environment, that before the file, that before the defaults. key.py
reads the API key; settings.py holds all that one mount needs, caching.py what of it concerns the cache on
disk. named_files.py reads files that the user names, trust.py checks who may write or read them;
memory_limit.py finds the memory limit of the container.

This package starts nothing. cli/, mount/, doctor/ and fuse/ may import it.
"""
