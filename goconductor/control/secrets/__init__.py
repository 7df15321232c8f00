"""Secrets: kept encrypted in the saga log's database, and put into settings that refer to them."""
