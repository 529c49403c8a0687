"""Objectives, the training loop and its checkpoints."""
