"""Turns a checkpoint into a bundle, and runs bundles: checkpoint → graphs → engines → bundle → answers."""
