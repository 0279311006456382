"""Several prompts where one would cost more or be too deep."""
