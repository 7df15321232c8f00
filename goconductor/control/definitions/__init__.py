"""What people ask about definitions: read from documents, registered, listed, activated."""
