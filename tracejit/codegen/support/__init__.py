"""What native programs call: memory, lists, threads, LAPACK, as LLVM text."""
