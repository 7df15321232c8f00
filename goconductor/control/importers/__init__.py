"""Other systems' documents, imported: a room for each system, whose documents become ordinary definitions."""
