"""What is said of a saga: its events, the state that they lead to, the effects they ask for, and all legal moves."""
