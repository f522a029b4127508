"""The closed loop: a source gives frames, the model answers, a sink takes the answers, and every frame is logged."""
