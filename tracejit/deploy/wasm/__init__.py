"""Functions as WebAssembly modules that import nothing but what messages and prints need of a host.

Pointers have 32 bits there; in records and lists each takes a slot of 8 bytes, as on other machines, so that the code
is the same.

module.py     an object of LLVM as a finished module: its own memory, stack and exports
support_ir.py memory, texts and 128-bit products, which a C library and a compiler's runtime give elsewhere
loader.py     the JavaScript beside the module
write.py      a program as files
"""
