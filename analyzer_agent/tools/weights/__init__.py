"""Published weights: which there are, which are on this machine, and their download."""
