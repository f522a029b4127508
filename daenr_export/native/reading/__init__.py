"""An exported ONNX graph as typed operations.

operations  what a graph computes, and `Network`, a whole graph
symbols     what a name of the ONNX graph stands for while it is read
node        a node with its inputs looked up and its attributes checked
nodes       what each kind of node means
graph       `read_network`
"""
