"""Functions made of functions: derivatives, Jacobians, batches.

Each takes a plain or scripted function and gives one that is compiled as a script is: its graph is made from the graph
of the function it is about, so that transformations nest in any order. `tracejit` has the public ones, each loaded on
first use.
"""
