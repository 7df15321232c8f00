"""What a process opens to the world: sagas as Python objects, health over HTTP, exit codes, and completion."""
