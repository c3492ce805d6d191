"""The two files by which others find a running runtime: kubeconfig and endpoints.json. Pure."""

import base64
import json

from knative_embedded.settings import Ports

NAME = "knative-embedded"


def make_kubeconfig(ports: Ports, ca: bytes, token: str) -> str:
    """A kubeconfig (JSON is YAML) with one cluster, one user, and the namespace `default`."""
    cluster = {
        "server": f"https://127.0.0.1:{ports.api}",
        "certificate-authority-data": base64.b64encode(ca).decode(),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": "default"}}],
        "current-context": NAME,
    }
    return json.dumps(config, indent=2) + "\n"


def make_endpoints(ports: Ports, pid: int, kubeconfig: str) -> str:
    """endpoints.json: {"pid", "api", "ingress", "internal", "kubeconfig"}."""
    found = {
        "pid": pid,
        "api": f"https://127.0.0.1:{ports.api}",
        "ingress": f"http://127.0.0.1:{ports.ingress}",
        "internal": f"http://127.0.0.1:{ports.internal}",
        "kubeconfig": kubeconfig,
    }
    return json.dumps(found, indent=2) + "\n"
