"""An encoder-decoder, and its panels on screen."""

SOURCE, TARGET = "The cat saw the dog and ran", "The dog saw"
