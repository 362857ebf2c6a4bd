"""The work of `layerscope train`: its options, the training in a folder, what is told of it, and its card."""
