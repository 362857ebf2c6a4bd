"""The engine: models in a process of their own, which answers queries."""
