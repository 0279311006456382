"""The user's settings files."""
