"""Text, known when a function is compiled and made at run time."""
