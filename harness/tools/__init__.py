"""Runs tools under test, the real ones behind adapters and our own reference ones."""
