"""How a value is seen: the tap in a model, and the record of what it told."""
