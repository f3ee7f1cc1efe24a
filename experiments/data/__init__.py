"""Data sets for trials: decoded once, shared by all trials of a machine, augmented as tensors.

`config` says which data, `load` opens them, `batches` (the only file that needs torch) feeds a network.
To add a data set, write one small file with a maker and add one entry to `table.DATASETS`.
"""
