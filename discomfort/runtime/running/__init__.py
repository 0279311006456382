"""Running what is bound: the executor, its steps, sweeps, progress, the engine thread."""
