"""Reading the content of resources: which bytes, from where, how far ahead."""
