"""What the window knows: what is shown and asked for, what a person chose, what is remembered. No Qt."""
