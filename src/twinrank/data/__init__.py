"""Pairs of images: the benchmark, files from anyone, batches, submissions."""
