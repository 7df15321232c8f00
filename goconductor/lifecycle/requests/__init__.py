"""What others ask of a lifecycle: the requests that there are, which of them a saga would accept, and its diagrams."""
