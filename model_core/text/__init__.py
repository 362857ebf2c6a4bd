"""Text and tokens: the tokenizers, one file a format below, and why a text was split so."""
