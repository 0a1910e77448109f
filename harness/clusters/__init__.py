"""Makes and removes real clusters; never breaks them (that is what faults do)."""
