#!/usr/bin/env python3
"""Checks cluster/kubernetes/mpijob.yaml without a cluster.

    validate-mpijob.py [--crd kubeflow.org_mpijobs.yaml] [MANIFEST.yaml]

Three layers, each error on a line of its own, exit code 1 if there is any:

1. with --crd, the schema of the operator's custom resource, read strictly: a field that it does not know is an error
   (an API server would drop it silently). The file is manifests/base/kubeflow.org_mpijobs.yaml of kubeflow/mpi-operator.
2. the rules that the operator checks in its code (pkg/apis/kubeflow/validation of v2beta1);
3. our own: what a run needs to be saved, to resume, and to keep its key. ssh and Dockerfile must agree with the manifest.

Needs PyYAML (apt-get install python3-yaml).
"""

import argparse
import pathlib
import re
import sys

try:
    import yaml
except ImportError:
    print("validate-mpijob: SKIPPED PyYAML is missing (apt-get install python3-yaml)")
    sys.exit(0)

KUBERNETES = pathlib.Path(__file__).resolve().parents[2] / "cluster" / "kubernetes"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")  # RFC 1035


def conforms(value, schema, path):
    """Yields where a value breaks a schema of OpenAPI v3, in the parts of it that Kubernetes uses."""
    if value is None and schema.get("nullable"):
        return
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, (int, str)) or isinstance(value, bool):
            yield f"{path}: neither a number nor a string"
        return
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path}: is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{path}: {value} is below {schema['minimum']}"
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from conforms(item, schema["items"], f"{path}[{number}]")
    if isinstance(value, dict):
        yield from members_conform(value, schema, path)


def members_conform(value, schema, path):
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path}.{name}: is missing"
    for name, member in value.items():
        if name in known:
            yield from conforms(member, known[name], f"{path}.{name}")
        elif isinstance(others, dict):
            yield from conforms(member, others, f"{path}.{name}")
        elif (known or others is False) and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{path}.{name}: no such field"


def schemas(path):
    """The schema of each version that a CRD file serves, by apiVersion and kind."""
    for document in yaml.safe_load_all(path.read_text()):
        if document and document.get("kind") == "CustomResourceDefinition":
            spec = document["spec"]
            for version in spec["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                schema["properties"]["metadata"] = {"type": "object"}  # it says no more of it than this
                yield (f"{spec['group']}/{version['name']}", spec["names"]["kind"]), schema


def operator_rules(job):
    spec = job.get("spec", {})
    replicas = spec.get("mpiReplicaSpecs", {})
    workers = replicas.get("Worker", {}).get("replicas", 0)
    last = f"{job.get('metadata', {}).get('name', '')}-worker-{max(workers, 1) - 1}"
    if len(last) > 63 or not LABEL.fullmatch(last):
        yield f"metadata.name: pods could not be called {last}"
    if "Launcher" not in replicas:
        yield "mpiReplicaSpecs.Launcher: is missing"
    for role, replica in replicas.items():
        path = f"mpiReplicaSpecs.{role}"
        if role not in ("Launcher", "Worker"):
            yield f"{path}: neither Launcher nor Worker"
        if role == "Launcher" and replica.get("replicas") != 1 or replica.get("replicas", 0) < 1:
            yield f"{path}.replicas: {replica.get('replicas')}; one launcher, at least one worker"
        if replica.get("restartPolicy") not in ("Never", "OnFailure"):
            yield f"{path}.restartPolicy: neither Never nor OnFailure"
        if not containers(replica):
            yield f"{path}: has no container"
    if spec.get("mpiImplementation", "OpenMPI") not in ("OpenMPI", "Intel", "MPICH"):
        yield "mpiImplementation: unknown"
    policy = spec.get("runPolicy", {})
    if policy.get("cleanPodPolicy", "None") not in ("None", "Running", "All"):
        yield "runPolicy.cleanPodPolicy: unknown"
    for name in ("ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit"):
        if policy.get(name, 0) < 0:
            yield f"runPolicy.{name}: negative"


def containers(replica):
    return replica.get("template", {}).get("spec", {}).get("containers", [])


def variables(replica):
    return [variable for container in containers(replica) for variable in container.get("env", [])]


def our_rules(job, claims):
    spec = job["spec"]
    replicas = spec.get("mpiReplicaSpecs", {})
    launcher, worker = replicas.get("Launcher", {}), replicas.get("Worker", {})
    if spec.get("launcherCreationPolicy") != "WaitForWorkersReady":
        yield "launcherCreationPolicy: the first attempt would meet hosts that are not there yet"
    if not spec.get("runLauncherAsWorker"):
        yield "runLauncherAsWorker: rank 0 would run in a worker pod, without the key and far from its supervisor"
    if any("secretKeyRef" in variable.get("valueFrom", {}) for variable in variables(worker)) or any(
        "secretRef" in source for container in containers(worker) for source in container.get("envFrom", [])
    ):
        yield "Worker: has a secret, which only rank 0 needs"
    for variable in variables(launcher):
        if re.search("KEY|TOKEN|SECRET", variable["name"]) and "value" in variable:
            yield f"Launcher: {variable['name']} is in the manifest in clear"
    words = [str(w) for c in containers(launcher)[:1] for w in c.get("command", []) + c.get("args", [])]
    if words[:2] != ["/opt/adalign/cluster/ssh.sh", "/etc/mpi/hostfile"]:
        yield "Launcher: ssh.sh must be the first process, since it turns TERM into a request to save"
    if "-n" in words:
        ranks, slots = int(words[words.index("-n") + 1]), spec.get("slotsPerWorker", 1) * (1 + worker.get("replicas", 0))
        if ranks > slots:
            yield f"Launcher: {ranks} ranks on {slots} slots"
    for role, replica in replicas.items():
        yield from (f"{role}: {error}" for error in pod_rules(replica.get("template", {}).get("spec", {}), claims))
    images = {container.get("image") for replica in replicas.values() for container in containers(replica)}
    if len(images) != 1:
        yield f"images differ: {sorted(map(str, images))}"
    if containers(worker) and "preStop" not in containers(worker)[0].get("lifecycle", {}):
        yield "Worker: without preStop TERM ends sshd, and the ranks before they have saved"


def pod_rules(pod, claims):
    if pod.get("terminationGracePeriodSeconds", 30) < 60:
        yield "terminationGracePeriodSeconds: too short for a step and a checkpoint"
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for volume in volumes.values():
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim and "ReadWriteMany" not in claims.get(claim, []):
            yield f"volume {volume['name']}: the claim {claim} is not here or not ReadWriteMany"
    for container in pod.get("containers", []):
        if not re.fullmatch(r"[^:@]+(:[0-9]+/[^:@]+)?(:(?!latest)[\w.-]+|@sha256:[0-9a-f]{64})", container.get("image", "")):
            yield f"image {container.get('image')}: has no version"
        mounts = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", [])}
        for path in ("/data", "/dev/shm"):
            if mounts.get(path) not in volumes:
                yield f"{path}: is no volume"
        resources = container.get("resources", {})
        if set(resources.get("limits", {})) < {"cpu", "memory"}:
            yield "resources.limits: cpu and memory, or a neighbour's load decides about this run"


def image_rules(job):
    """The image and the manifest name the same user, port, paths and key directory."""
    docker, sshd = (KUBERNETES / "Dockerfile").read_text(), (KUBERNETES / "sshd_config").read_text()
    spec = job["spec"]
    stages = re.findall(r"^FROM (\S+)", docker, re.MULTILINE)
    if len(stages) != 2 or not all("bookworm" in stage for stage in stages):
        yield f"Dockerfile: stages {stages}; Open MPI 4.1.4 is in bookworm only"
    keys = re.search(r"^HostKey (.*)/id_rsa$", sshd, re.MULTILINE)
    if not keys or keys[1] != spec.get("sshAuthMountPath"):
        yield "sshAuthMountPath: is not where sshd_config looks for keys"
    port = re.search(r"^Port (\d+)$", sshd, re.MULTILINE)[1]
    probe = containers(spec["mpiReplicaSpecs"].get("Worker", {}))[0].get("readinessProbe", {})
    if f"Port {port}" not in docker or str(probe.get("tcpSocket", {}).get("port")) != port:
        yield f"sshd listens on port {port}; the image's ssh or the readiness probe use another"
    users = {
        replica["template"]["spec"].get("securityContext", {}).get("runAsUser")
        for replica in spec["mpiReplicaSpecs"].values()
    }
    if len(users) != 1 or f"--uid {users.pop()} mpiuser" not in docker:
        yield "runAsUser: is not the image's mpiuser"


def errors(documents, crds):
    claims = {
        document["metadata"]["name"]: document["spec"].get("accessModes", [])
        for document in documents
        if document["kind"] == "PersistentVolumeClaim"
    }
    jobs = [document for document in documents if document["kind"] == "MPIJob"]
    if len(jobs) != 1:
        yield f"{len(jobs)} MPIJobs, not one"
    for job in jobs:
        if crds:
            schema = crds.get((job.get("apiVersion"), "MPIJob"))
            yield from conforms(job, schema, "MPIJob") if schema else [f"{job.get('apiVersion')}: not in the CRD"]
        yield from operator_rules(job)
        yield from our_rules(job, claims)
        yield from image_rules(job)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--crd", type=pathlib.Path)
    parser.add_argument("manifest", type=pathlib.Path, nargs="?", default=KUBERNETES / "mpijob.yaml")
    options = parser.parse_args()
    crds = dict(schemas(options.crd)) if options.crd else {}
    documents = [document for document in yaml.safe_load_all(options.manifest.read_text()) if document]
    found = list(errors(documents, crds))
    for error in found:
        print(f"{options.manifest}: {error}")
    if not found:
        print(f"{options.manifest}: ok, {'with' if crds else 'without'} the operator's schema")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
