"""Whole searches by name, in a folder from which they resume."""
