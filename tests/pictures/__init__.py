"""The pictures of the README, made from a real mount."""
