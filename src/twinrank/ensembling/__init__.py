"""Stacking: what base models said about rows that they never saw, and what to make of it. Arrays only, never torch."""
