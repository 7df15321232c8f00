"""asyncio without sagas: what every room above may need of it, and the standard library lacks."""
