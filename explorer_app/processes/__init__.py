"""The processes beside the window: the engine, and a training."""
