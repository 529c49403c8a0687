"""Load on a server of predictions: how fast it is beside the same network in process, and whether it stays steady."""
