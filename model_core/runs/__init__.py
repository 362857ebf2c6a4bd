"""A model run on tokens: its record, replayed where somebody looks; and the graph that was measured."""
