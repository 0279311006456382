"""Links, followed through reroutes, bypassed nodes and subgraphs."""
