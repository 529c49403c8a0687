"""Training on a GPU: whether it is right, how fast it is, and how far it gets in minutes."""
