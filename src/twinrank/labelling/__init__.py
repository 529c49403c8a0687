"""A page on which people judge pairs of images, and the database that keeps what they said."""
