"""Node classes as the embedded engine knows them."""
