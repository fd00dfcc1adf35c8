"""What a mount has to be like, and what compares a real one with it: for tests, and for the soak.

attributes/  what a mount shows of a project that changes: a plain model, and a program that keeps looking
calls/       what each call on each kind of path tells: the same on a mount and on ext4
contents/    what a read may give while a project changes under a mount: a plain model
"""
