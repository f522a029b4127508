"""From a checkpoint to a bundle: the steps of an export.

    export             what can be known before anything is made, and the verification of what was
    make_bundle        the steps, in order
    contract           what shorter numbers than float32 are held to, and how layers fall back
    typed              float16 and int8 graphs under contract
    native_layers      compiled C under contract
    engines, natives   what is built of the graphs
    measure, describe  parity and manifest

`options` says which combinations make sense, and imports nothing heavy.
"""
