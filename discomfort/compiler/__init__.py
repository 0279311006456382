"""The compiler: workflows in, a plan out."""
