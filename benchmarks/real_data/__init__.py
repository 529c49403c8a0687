"""Sets of real images whose true order is known, and a simulated crowd that judges them.

Run ``python -m benchmarks.real_data --help``.
"""
