"""The closed loop: frames come from a source, the model answers, a sink takes the answers, and every frame is logged."""
