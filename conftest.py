"""Enables the plugin; everything else is in harness/pytest_*.py."""

pytest_plugins = ["harness.pytest_options", "harness.pytest_plugin", "harness.pytest_spread", "harness.pytest_reports"]
