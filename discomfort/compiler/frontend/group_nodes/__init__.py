"""Legacy group nodes."""
