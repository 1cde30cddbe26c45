"""`tj.trace`: a function that runs on stand-ins for its arguments."""
