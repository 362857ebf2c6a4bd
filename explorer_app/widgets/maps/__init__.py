"""Matrices as pictures: one large one with its colour bar, or many small ones."""
