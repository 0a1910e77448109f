"""A small cluster as the API would list it, with its own random words; the same seed, the same words."""

import copy
import random
import uuid

LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Cluster:
    """A node, an app with a workload, a service, a volume, a secret; `listing` is what a probe packs."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.name = f"af-{seed}{self.letters(3)}-1"
        self.node = f"{self.name}-control-plane"
        self.moment = f"2026-11-{10 + seed % 10:02d}T10:00:00Z"
        self.address = f"172.18.{seed % 200}.2"
        self.listing = {}
        self.names = {self.name: "<cluster>", self.authority: "<authority>"}
        self._version = seed * 1000
        self._fill()

    @property
    def authority(self):
        return f"-----BEGIN CERTIFICATE-----\n{self.name}\n-----END CERTIFICATE-----"

    def letters(self, count=5):
        return "".join(self._random.choice(LETTERS) for _ in range(count))

    def add(self, resource, name, namespace="", owner=None, managers=(("kubeadm", ""),), **body):
        self._version += self._random.randint(1, 9)
        metadata = body.pop("metadata", {}) | {
            "name": name,
            "uid": str(uuid.UUID(int=self._random.getrandbits(128))),
            "resourceVersion": str(self._version),
            "creationTimestamp": self.moment,
            "managedFields": [
                {"manager": manager, "operation": "Update", "time": self.moment, "subresource": part}
                for manager, part in managers
            ],
        }
        metadata |= {"namespace": namespace} if namespace else {}
        if owner is not None:
            kind, raw = owner
            reference = {"kind": kind, "name": raw["metadata"]["name"], "uid": raw["metadata"]["uid"]}
            metadata["ownerReferences"] = [reference | {"controller": True, "apiVersion": "v1"}]
        raw = {"metadata": metadata} | body
        self.listing.setdefault(resource, []).append(raw)
        return raw

    def one(self, resource, name=""):
        """The object whose name begins so."""
        return next(raw for raw in self.listing[resource] if raw["metadata"]["name"].startswith(name))

    def without(self, resource, name=""):
        self.listing[resource].remove(self.one(resource, name))

    def copied(self):
        return copy.deepcopy(self)

    def _fill(self):
        status = {
            "addresses": [{"type": "InternalIP", "address": self.address}, {"type": "Hostname", "address": self.node}],
            "nodeInfo": {name: self.letters() for name in ("machineID", "systemUUID")} | {"bootID": "b"},
            "images": [{"names": ["app:1"]}, {"names": ["other:1"]}][: self._random.randint(1, 2)],
            "conditions": [condition("Ready", self.moment), condition("DiskPressure", self.moment, "False")],
        }
        self.add("nodes", self.node, spec={"providerID": f"kind://docker/{self.name}/{self.node}"}, status=status)
        self.add("namespaces", "app", spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"})
        self.add("configmaps", "kube-root-ca.crt", "app", data={"ca.crt": f"{self.authority}\n"})
        self.add("configmaps", "settings", "app", data={"Caddyfile": "one\ntwo\nthree\n"})
        self.add("secrets", "key", "app", data={"tls.key": "hmac-sha256 aa11, 12 bytes"}, type="Opaque")
        self._fill_workload()
        self._fill_service()
        claim = self.add("persistentvolumeclaims", "data", "app", spec={"resources": {}}, status={"phase": "Bound"})
        volume = f"pvc-{claim['metadata']['uid']}"
        claim["spec"]["volumeName"] = volume
        self.add("persistentvolumes", volume, spec={"hostPath": {"path": f"/var/local/{volume}_app_data"}})

    def _fill_workload(self):
        self.hash = self.letters(9)
        template = {"spec": {"containers": [{"name": "web", "image": "app:1", "env": [env("MODE", "a")]}]}}
        revision = {"annotations": {"deployment.kubernetes.io/revision": "1"}, "generation": 1}
        status = {"observedGeneration": 1, "readyReplicas": 2}
        spec = {"replicas": 2, "template": template}
        web = self.add(
            "deployments.apps", "web", "app", metadata=dict(revision), spec=copy.deepcopy(spec), status=status
        )
        labels = {"app": "web", "pod-template-hash": self.hash}
        metadata = copy.deepcopy(revision) | {"labels": labels}
        name = f"web-{self.hash}"
        copies = self.add("replicasets.apps", name, "app", owner=("Deployment", web), metadata=metadata, spec=spec)
        self.pods = [self._add_pod(copies, labels, number) for number in (1, 2)]

    def _add_pod(self, copies, labels, number):
        stem = f"web-{self.hash}-"
        status = {
            "phase": "Running",
            "podIP": f"10.244.{number}.{self._random.randint(3, 200)}",
            "conditions": [condition("Ready", self.moment)],
            "containerStatuses": [
                {"name": "web", "ready": True, "restartCount": 0, "containerID": self.letters(), "lastState": {}}
                | {"imageID": f"docker.io/library/import-{self.moment[:10]}@sha256:77"}
            ],
        }
        status["podIPs"] = [{"ip": status["podIP"]}]
        mount = {"name": f"kube-api-access-{self.letters()}", "mountPath": "/var/run/secrets"}
        spec = {"nodeName": self.node, "containers": [{"name": "web", "image": "app:1", "volumeMounts": [mount]}]}
        metadata = {"generateName": stem, "labels": dict(labels)}
        owner = ("ReplicaSet", copies)
        return self.add("pods", stem + self.letters(), "app", owner=owner, metadata=metadata, spec=spec, status=status)

    def with_backup(self):
        self.add("cronjobs.batch", "backup", "app", spec={"schedule": "*/5 * * * *"}, status={})
        return self

    def run_backup(self):
        """The time has come: the cron job's controller makes a job, and that one's a pod."""
        backup = self.one("cronjobs.batch")
        backup["status"] |= {"lastScheduleTime": self.moment, "lastSuccessfulTime": self.moment}
        job = self.add("jobs.batch", "backup-29396525", "app", owner=("CronJob", backup), spec={}, status={})
        name = f"backup-29396525-{self.letters()}"
        self.add("pods", name, "app", owner=("Job", job), spec={}, status={"phase": "Succeeded"})

    def _fill_service(self):
        address = f"10.96.{self._random.randint(1, 200)}.{self._random.randint(20, 200)}"
        ports = [{"port": 80, "nodePort": self._random.randint(30000, 32767), "targetPort": 8080}]
        spec = {"clusterIP": address, "clusterIPs": [address], "ports": ports, "selector": {"app": "web"}}
        web = self.add("services", "web", "app", spec=spec)
        reference = {"resource": "services", "namespace": "app", "name": "web"}
        self.add("ipaddresses.networking.k8s.io", address, spec={"parentRef": reference})
        pods = self._random.sample(self.pods, 2)
        rows = [{"addresses": [p["status"]["podIP"]], "targetRef": {"name": p["metadata"]["name"]}} for p in pods]
        metadata = {"generateName": "web-", "generation": self._random.randint(1, 5)}
        name = f"web-{self.letters()}"
        self.add(
            "endpointslices.discovery.k8s.io", name, "app", owner=("Service", web), metadata=metadata, endpoints=rows
        )


def condition(sort, moment, status="True"):
    return {"type": sort, "status": status, "lastTransitionTime": moment, "message": f"since {moment}"}


def env(name, value):
    return {"name": name, "value": value}
