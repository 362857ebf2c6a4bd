"""Drawing: numpy arrays in, clicks out. Nothing here knows of models, sessions or the engine.

These are the only files that import pyqtgraph, and they do so through `plotting`.
"""
