"""Graphs as ONNX models: control flow as `If` and `Loop`, sizes and numbers known at run time only.

model.py      nodes, constants, nested graphs, and checks that stop a run
spellings.py  operators of scalar operations
functions.py  functions that ONNX lacks
elements.py   scalar expressions as nodes over whole arrays
operands.py   what lowering rules see of operands: arrays read at index expressions
folds.py      reductions
translate.py  ops as nodes
structure.py  structural ops: control flow, views, lists, checks
write.py      a captured function as a file
"""
