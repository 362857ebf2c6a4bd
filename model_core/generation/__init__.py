"""Going on after a prompt."""
