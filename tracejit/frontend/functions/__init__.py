"""Which function a call means, what it takes, and functions that call themselves."""
