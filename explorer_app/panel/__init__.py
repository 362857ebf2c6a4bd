"""What panels share: their base class, their registry, and the head that several of them show."""
