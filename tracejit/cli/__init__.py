"""The command line: one module per group of commands, `__main__.py` puts them together."""
