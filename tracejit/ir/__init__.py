"""The tensor IR: immutable SSA graphs with `if` and `loop`, their text, verifier and interpreter."""
