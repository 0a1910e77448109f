"""Sit between the tool and the world: they pass through, and record."""
