"""The paths of other ways to write a saga: by its data, as documents of Orchy's, and step by step at run time."""
