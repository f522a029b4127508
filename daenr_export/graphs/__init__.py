"""Checkpoint to ONNX: one trace of the model, cut into the six graphs of a bundle.

Every step takes a graph and returns a new one, and `contract.ensure` holds after each of them:

    trace   a DaeNr              → image → features, responses, reconstruction[, codes]    (batch norm folded)
    cut     that graph           → encoder, decoder, readout, responses, reconstruction, joint
    half    a float32 graph      → the same graph with float16 multiplications             (--precision fp16)
    pixels  a graph of an image  → the same graph of 0…255 pixels                          (--input uint8)
    int8    a finished graph     → the same graph with int8 products, as explicit Q/DQ     (--precision int8)

`names` says which graphs a model has and imports nothing; `make` (graphs) and `reference` (what PyTorch answers) need
torch.
"""
