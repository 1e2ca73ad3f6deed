"""Contract tests of the simulator: recorded shapes and statuses, asked with a plain client."""
