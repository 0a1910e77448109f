"""A run that a Kubernetes cluster plays: an Indexed Job, one shard of the cases a pod; docs/side-by-side.md."""
