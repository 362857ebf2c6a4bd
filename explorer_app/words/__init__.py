"""Sentences: whatever is only text, about models, heads, norms, edits and numbers."""
