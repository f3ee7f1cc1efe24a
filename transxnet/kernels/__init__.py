"""Ways to compute a block, all of one function: `choice` is their table, `composed` the graph that some of them share.

`reference` is the plain graph, the modules as they read. The others compute the same from the same parameters faster;
tests/test_kernels.py holds those of a CPU to it, tests/test_triton_kernels.py Triton's.
"""
