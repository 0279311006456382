"""What the compiler, the runtime and the nodes share: graphs, catalogs, keys, recipes, findings."""
