"""Images, each stored once: the store, and how files become pixels."""
