"""How prompts run: the scheduler, calls of nodes, the result cache."""
