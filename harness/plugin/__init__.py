"""What pytest is told: options, selection, time limits, repeats, reports; each module is a plugin."""
