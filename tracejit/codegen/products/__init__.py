"""Matrix products as LLVM text, by the shapes of their factors."""
