"""Backends: the engines that can run a graph, one file each."""
