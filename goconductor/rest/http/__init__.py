"""What all paths share: problems, the rules of every request, bodies, parameters, and the end of the server."""
