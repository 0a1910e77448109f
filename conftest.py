"""Enables the plugin; everything else is in harness/pytest_plugin.py and harness/pytest_reports.py."""

pytest_plugins = ["harness.pytest_options", "harness.pytest_plugin", "harness.pytest_reports"]
