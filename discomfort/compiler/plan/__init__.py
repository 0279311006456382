"""The plan: its data, how it is assembled, written as JSON, explained and drawn."""
