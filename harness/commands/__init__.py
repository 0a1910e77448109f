"""The commands of `afterfault`, one a module; `cli.py` puts them together."""
