"""A real cluster in which Knative's OIDC is switched on for a while, and the platform's broker in it.

In Eventing 1.15 the in-memory channel's dispatcher crashes, again and again, while any channel has a subscriber from
before the switch (knative/eventing#8581). So none may stand; those of namespaces that are being deleted are removed,
since they would wait there for the last Pod to end.
"""

import contextlib
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubernetes import client

from bigpanda_mlflow.errors import Transient
from bigpanda_mlflow.events import EventType, Outcome, ServiceExpired
from bigpanda_mlflow.settings import Settings
from bigpanda_mlflow.sink import send
from support.builders import ENVIRONMENT, NOW, TASK
from support.laptop import until
from support.need import lacking
from support.real_cluster import SECONDS, apply, connect, disconnect, moved

OUTCOME = Outcome(EventType.EXPIRED, "e1:expired", NOW, ServiceExpired(jeditaskid=TASK, reason="expired"))
EVENTING = {"group": "eventing.knative.dev", "version": "v1"}
BROKERS, TRIGGERS = ({**EVENTING, "plural": plural} for plural in ("brokers", "triggers"))
MESSAGING = {"group": "messaging.knative.dev", "version": "v1"}
SUBSCRIBED = [{**MESSAGING, "plural": plural} for plural in ("inmemorychannels", "subscriptions")]
SYSTEM = "knative-eventing"
FEATURES = ("config-features", SYSTEM)
SWITCH = "authentication-oidc"
KINDS = ("Namespace", "ServiceAccount", "EventPolicy", "Broker", "Trigger")


class Broker:
    """The platform's broker in a namespace of its own, and a way to it from here."""

    def __init__(self, objects: tuple[Any, ...], address: str, folder: Path) -> None:
        self.objects = objects
        self.namespace = f"oidc-{secrets.token_hex(4)}"
        self.audience = f"eventing.knative.dev/broker/{self.namespace}/default"
        self.sink = f"{address}/{self.namespace}/default"
        self.file = folder / "token"
        self.stands = False
        self.api = connect()
        self.core, self.custom = client.CoreV1Api(self.api), client.CustomObjectsApi(self.api)

    def create(self) -> None:
        """The broker stands, and its policy is in force."""
        until(self._applied, SECONDS, "that Eventing takes an EventPolicy")
        until(lambda: self.status("brokers", "default").get("policies"), SECONDS, "that the broker knows its policy")
        until(lambda: self.post(self.token("front")) == "", SECONDS, "that the broker takes an event")
        until(lambda: "403" in self.post(self.token("visualize")), SECONDS, "that the policy is in force")

    def _applied(self) -> bool:
        found = moved(self.objects, self.namespace, KINDS)
        for one in found:
            if one["kind"] == "Trigger":  # no function runs here, and what a Trigger leads to must have an address
                one["spec"]["subscriber"] = {"uri": "http://127.0.0.1:1/"}
        try:
            apply(*found)
        except AssertionError as error:
            if "oidc-authentication feature not enabled" in str(error):
                return False
            raise
        self.stands = True
        return True

    def token(self, account: str, audience: str | None = None, namespace: str | None = None) -> str:
        """What the kubelet puts into the file of a Pod that runs as `account`."""
        body = {"spec": {"audiences": [audience or self.audience], "expirationSeconds": 600}}
        place = namespace or self.namespace
        answer = self.core.create_namespaced_service_account_token(account, place, body)
        return str(answer.status.token)

    def post(self, token: str | None) -> str:
        """What the functions' own sender says of an event with this token: nothing, or the fault."""
        self.file.write_text(token or "")
        known = {"K_SINK": self.sink, "K_SINK_TOKEN_FILE": "" if token is None else str(self.file)}
        try:
            send(Settings.from_environment({**ENVIRONMENT, **known}), OUTCOME)
        except Transient as fault:
            return str(fault)
        return ""

    def status(self, plural: str, name: str) -> dict[str, Any]:
        found = self.custom.get_namespaced_custom_object(namespace=self.namespace, plural=plural, name=name, **EVENTING)
        status: dict[str, Any] = found.get("status", {})
        return status

    def account_of(self, trigger: str) -> str:
        """On whose behalf Knative posts what a Trigger's function replies."""
        return str(self.status("triggers", trigger)["auth"]["serviceAccountName"])

    def all_of(self, kind: dict[str, str], *, going: bool) -> list[dict[str, Any]]:
        """Objects of the whole cluster: those whose namespaces are being deleted, or those of all others."""
        found = self.custom.list_cluster_custom_object(**kind)["items"]
        ending = {one.metadata.name for one in self.core.list_namespace().items if one.metadata.deletion_timestamp}
        return [one for one in found if (one["metadata"]["namespace"] in ending) == going]

    def hasten(self) -> None:
        """What is subscribed in a namespace that is being deleted goes at once."""
        going = {one["metadata"]["namespace"] for kind in SUBSCRIBED for one in self.all_of(kind, going=True)}
        for namespace in going:
            self.clear(namespace)
        wanted = "that nothing is subscribed in a namespace that is being deleted"
        until(lambda: not any(self.all_of(kind, going=True) for kind in SUBSCRIBED), SECONDS, wanted)

    def clear(self, namespace: str) -> None:
        """Triggers first: a Broker takes its channel along."""
        for kind in (TRIGGERS, BROKERS):
            self.custom.delete_collection_namespaced_custom_object(namespace=namespace, **kind)

    def audiences(self) -> list[str]:
        """Of all brokers of the cluster."""
        found = self.custom.list_cluster_custom_object(**BROKERS)["items"]
        addresses = [one.get("status", {}).get("address", {}) for one in found]
        return [address["audience"] for address in addresses if "audience" in address]

    def close(self) -> None:
        with contextlib.suppress(client.ApiException):  # it may never have come to be
            self.clear(self.namespace)
            self.core.delete_namespace(self.namespace)
        disconnect(self.api)


@contextlib.contextmanager
def forwarded(log: Path) -> Iterator[str]:
    """The address, on this machine, of the brokers' ingress."""
    command = ["kubectl", f"--namespace={SYSTEM}", "port-forward", "service/broker-ingress", ":80"]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            address = until(lambda: re.search(r"127\.0\.0\.1:[0-9]+", log.read_text()), SECONDS, "kubectl port-forward")
            yield f"http://{address[0]}"
        finally:
            process.terminate()


@contextlib.contextmanager
def switched_on(broker: Broker) -> Iterator[None]:
    """Eventing asks who sends, in the whole cluster, until the end."""

    def switch(value: str | None) -> None:
        broker.core.patch_namespaced_config_map(*FEATURES, {"data": {SWITCH: value}})

    broker.hasten()
    if others := broker.all_of(TRIGGERS, going=False):
        names = ", ".join(f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in others)
        lacking(f"this cluster has Triggers, which Eventing 1.15 cannot serve once it asks who sends: {names}")
    before = (broker.core.read_namespaced_config_map(*FEATURES).data or {}).get(SWITCH)
    switch("enabled")
    try:
        yield
    finally:
        switch(before)
        if before != "enabled":
            until(lambda: not broker.audiences(), SECONDS, "that no broker asks for a token any more")
        if before != "enabled" and broker.stands:
            until(lambda: "401" not in broker.post(None), SECONDS, "that the broker asks for no token any more")
