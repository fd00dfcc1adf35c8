"""What a mount shows of a project that changes, beside a plain model."""
