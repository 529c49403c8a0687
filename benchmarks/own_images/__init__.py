"""Sets of real images as people have them, split by image, and rivals that are trained on the same judgements.

Run ``python -m benchmarks.own_images --help``.
"""
