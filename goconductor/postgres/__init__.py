"""How PostgreSQL is reached, by whichever leaf needs it: what stands in a URL, dialling host by host, how a session is set up and
comes back, what an error means, and which timeline a server is on. Leaves have no other way to it, so that all keep the same
rules.
"""
