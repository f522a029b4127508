"""What the three packages share: errors, verdicts, optional imports, safe file writing, the command line's edge.

Nothing here imports torch, onnx or a runtime, so that every package may import it.
"""
