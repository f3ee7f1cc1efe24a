"""Depthwise convolutions for GPUs, in Triton. Only this package imports triton; the network works without it."""
