"""Where bytes lie: RAM shared between processes, and disk."""
