"""The paths of other ways to write a saga: by its data, and as documents of Orchy's."""
