"""Does a bundle still do what its checkpoint did? Runs it, compares, and says what it cannot tell. Needs no torch."""
