"""Arrays and Tensors: their memory, their functions, methods, subscripts and attributes."""
