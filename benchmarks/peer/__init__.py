"""Other compilers: an interpreter of their own (`server`), and the connection to it (`client`)."""
