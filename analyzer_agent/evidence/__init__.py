"""Evidence: plan a request against coverage, analyze the gaps, and read notes back merged."""
