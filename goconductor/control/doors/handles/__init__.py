"""One saga, as a program holds it, and what people ask of it."""
