"""What a person fills in: the prompt bar, the dialogs, the form of a training."""
