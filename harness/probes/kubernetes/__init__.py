"""Facts about a Kubernetes cluster, written to the journal as ``probe.k8s.*``.

Every call has a short timeout. What the world does is a fact, never an error: an API that does not
answer, or refuses, becomes the entry's ``failure``. All probes only read, but `fresh_pod`, which
makes a namespace of its own and removes it again.
"""
