"""Opens a bundle and answers images with it. Imports neither torch nor daenr_train."""
