"""The benchmark: our mount beside rclone's on one store; `scripts/bench` runs it."""
