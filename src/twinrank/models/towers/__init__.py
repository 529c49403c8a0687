"""Towers: networks from an encoded image to a feature vector, one family a file."""
