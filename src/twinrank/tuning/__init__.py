"""Search for better values: search spaces and trials."""
