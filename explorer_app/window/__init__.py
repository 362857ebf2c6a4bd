"""The window around the panels: docks, menus, keys, what it looks like as a picture, how it starts."""
