"""Predictors: networks, stacks, and means of several."""
