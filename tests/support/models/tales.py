"""A text of three short tales."""

TALES = [
    "Once upon a time there was a king who had three sons and one apple tree. " * 12,
    "There was once a fox that could count to four and did so all day long. " * 12,
    "The third tale is short, and nobody in it counts.\n" * 6,
]
