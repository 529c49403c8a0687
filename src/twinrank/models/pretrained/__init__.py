"""Backbones with public weights, trained on other images."""
