"""What people ask of sagas: started, looked at, told as a story, and requested of by operators."""
