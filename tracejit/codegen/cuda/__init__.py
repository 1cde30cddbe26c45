"""Loop programs as CUDA C, and the host's part of them as Python text."""
