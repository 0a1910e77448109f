"""A case played again, on this machine or, from one file, on another."""
