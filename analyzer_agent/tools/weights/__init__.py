"""Published weights: catalog, search on this machine, and download."""
