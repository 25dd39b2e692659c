"""The guard: everything about the small model. Nothing here loads torch until a program runs."""
