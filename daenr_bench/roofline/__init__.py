"""How far from the limit: what a graph asks of a processor, what this core can do, and each backend's share of it."""
