"""What may be asked for, and what was.

configuration.py takes flags before the environment, that before the file, and the defaults; settings.py
checks each value, mount_options.py the options of `-o`. named_files.py and trust.py read the files that a
user names, and say whether they can be believed; memory_limit.py finds the memory that a container may
have.

It starts nothing. cli/, mount/, doctor/ and fuse/ may import it.
"""
