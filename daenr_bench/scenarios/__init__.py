"""The ways to ask how fast a cell is, one in each module. Their figures are never merged: each is another question.

`burst`: how fast can it be? `paced`: how fast is it in a loop that waits for frames? `cold`: how long until the first
answer? `throughput`: how many images in bulk? `soak`: does it stay so?
"""
