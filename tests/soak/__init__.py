"""Many long conversations at once, with random faults and barge-ins: ``python tests/soak``."""
