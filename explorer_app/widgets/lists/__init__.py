"""Rows of text: bars, chips, ladders, pairs, tables."""
