"""How programs and the nodes on a server prove to each other who they are. Only the standard library is needed."""
