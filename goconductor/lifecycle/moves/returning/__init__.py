"""What is undone, and by which rules: the whole saga, some of its steps, an item, or one step that the saga goes on without."""
