"""What everything stands on: files, locks, steps, values, messages, randomness, device."""
