"""Stacking: base models' out-of-fold predictions, and ensembles fitted on them. Arrays only, never torch."""
