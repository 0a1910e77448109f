"""Enables the plugin; everything else is in harness/pytest_plugin.py."""

pytest_plugins = ["harness.pytest_plugin"]
