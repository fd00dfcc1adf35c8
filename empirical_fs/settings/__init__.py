"""What may be asked for, and what was.

options.py has every setting, values.py reads their values from texts, mount_options.py those of `-o`,
misspelt.py finds what somebody may have meant.
configuration.py takes flags before the environment, that before the file, and the defaults; key.py takes
the key; settings.py is what one mount needs to know. named_files.py and trust.py read the files that a user
names, and say whether they can be believed; memory_limit.py finds the memory that a container may have.

It starts nothing. cli/, mount/, doctor/ and fuse/ may import it.
"""
