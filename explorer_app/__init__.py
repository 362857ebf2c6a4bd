"""The Layerscope window: Qt, pyqtgraph and numpy.

No file here imports torch; the model lives in the engine.
"""
