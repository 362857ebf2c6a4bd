"""What models are made of: one part, one file."""
