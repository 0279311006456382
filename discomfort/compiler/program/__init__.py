"""From workflows to one program: ports, stitching, type checks."""
