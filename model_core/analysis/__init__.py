"""Numbers derived from a run, never stored."""
