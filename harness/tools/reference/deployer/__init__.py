"""A small deploy tool on kind: one app behind a Caddy ingress, in a cluster of its own.

``python -m harness.tools.reference.deployer VARIANT start|stop --dir D``; `deployment.py` has the
schema of ``D/deployment.yml``, `variants.py` the variants. It does what laconic-so does on kind
(incidents 000 and 001), with the incidents' fix options as strategies, and defects beside them.
"""
