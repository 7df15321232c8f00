"""What goes back, and by which rules: the whole saga, some of its steps, an item, or one step that is done without."""
