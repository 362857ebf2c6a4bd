"""The graph of a model: where its nodes lie, and how it is drawn."""
