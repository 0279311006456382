"""Values passed by reference: their recipes, and the live objects that came out of one."""
