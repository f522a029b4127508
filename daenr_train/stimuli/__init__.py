"""Images from responses: what a model says excites a neuron most.

`ascent` climbs in the space of pixels, `latents` in that of the decoder's codes; both within one `budget`. `finding`
does it for a checkpoint, `sheet` draws what came out.
"""
