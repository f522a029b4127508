"""Peers: what a bundle is measured beside. The same model, run by others' runtimes as their documentation recommends.

A peer is a backend like those of the runtime, only that no rig runs it. Its answers are compared with the golden file
before it is timed, like those of all; what it does wrong is reported, and is not the bundle's fault. Tracing and
compiling are done when it opens a graph, and so are in no timed call.
"""
