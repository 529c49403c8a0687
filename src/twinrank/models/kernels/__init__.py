"""Kernels of our own for training on CPUs, each beside torch's operations, which do the same."""
