"""Where models come from: presets, the steps of their growth, and models without training."""
