"""JSON from elsewhere, read within limits: its size, its depth, its numbers, the kinds of its parts."""
