"""What a read may give while a project changes under a mount, beside a plain model."""
