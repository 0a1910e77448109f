"""Our own small deploy tools: faithful strategies, and the defects that guarantees have to catch.

Each variant is a list of steps, so that it reads as the runbook it is. They run as programs of
their own, through the same contract as anybody's tool.
"""
