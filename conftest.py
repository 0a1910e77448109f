"""Enables the plugins; everything else is in `harness/pytest_plugin.py` and `harness/plugin/`."""

pytest_plugins = [
    "harness.plugin.options",
    "harness.pytest_plugin",
    "harness.plugin.shards",
    "harness.plugin.limits",
    "harness.plugin.planned",
    "harness.plugin.spread",
    "harness.plugin.allure",
    "harness.plugin.reports",
    "harness.plugin.left_open",
]
