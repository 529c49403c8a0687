"""The front door for Python: what ``import twinrank as tr`` offers."""
