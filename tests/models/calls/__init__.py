"""What each call on each kind of path tells, on a mount and on ext4."""
