"""From a graph to a loop program: the entry, its kernels, and the memory of both."""
