"""What both processes speak: errors, names, scenes and queries, frames, edits. The window imports no other room.

No torch, no Qt.
"""
