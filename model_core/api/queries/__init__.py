"""What can be asked about a run: one file a subject, for both processes. No torch, no Qt."""
