"""Turns journals and findings into pages, files and an exit code; knows no cluster and no tool."""
