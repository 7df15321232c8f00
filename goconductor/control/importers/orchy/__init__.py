"""Orchy's JSON documents, imported: each becomes an ordinary definition."""
