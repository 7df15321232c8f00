"""The paths of REST, one file for each group; a path calls one function of `control`."""
