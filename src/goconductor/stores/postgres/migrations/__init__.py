"""How the schema came to be: Alembic's environment and, in ``versions``, one module for each change."""
