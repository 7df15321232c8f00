"""Who may call: the interceptor before every method, and the function behind each."""
