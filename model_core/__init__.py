"""The models, capture, checkpoints and training of Layerscope. Needs torch, never Qt.

Importing the package itself loads nothing: the window shares `protocol` and `names` with the engine and must
not pay for torch.
"""
