"""Readers of pair files."""
