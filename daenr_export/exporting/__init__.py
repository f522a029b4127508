"""From a checkpoint to a bundle: the steps of an export."""
