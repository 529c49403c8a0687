"""A server of predictions: requests of many clients go through one thread in batches."""
