"""Ways to compute a block, all of one function: `choice` is their table, `composed` the graph that some of them share.

`reference` is the plain graph, the modules as they read. The others compute the same from the same parameters faster;
the parity suite in tests/test_kernels.py holds each of them to it.
"""
