"""Metrics with intervals, and predictions stored with their row ids."""
