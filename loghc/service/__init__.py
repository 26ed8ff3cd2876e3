"""One ping over the network."""
