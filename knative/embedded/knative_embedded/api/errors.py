"""What the API refuses, in the API server's own words.

Every error is an ApiError and leaves as a metav1.Status, so that clients find the reason and code they know.
Source: k8s.io/apimachinery pkg/api/errors/errors.go.

    ApiError
    ├── not_found, no_such_path             404 NotFound
    ├── already_exists                      409 AlreadyExists
    ├── conflict                            409 Conflict
    ├── invalid                             422 Invalid
    ├── bad_request, denied                 400 BadRequest
    ├── expired                             410 Expired
    └── unauthorized, method_not_allowed, unsupported_media_type
"""

from typing import Any

from knative_embedded.kinds import Kind
from knative_embedded.objects import Object


class ApiError(Exception):
    """A request that the API server refuses."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def status(self) -> Object:
        """The error as a metav1.Status."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            body["details"] = self.details
        return body


def _details(kind: Kind, name: str) -> Object:
    found = {"name": name, "group": kind.group, "kind": kind.plural}
    return {key: value for key, value in found.items() if value}


def not_found(kind: Kind, name: str) -> ApiError:
    """No object of that name."""
    return ApiError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def no_such_path() -> ApiError:
    """Nothing is served at that path."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def already_exists(kind: Kind, name: str) -> ApiError:
    """The name is taken."""
    return ApiError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> ApiError:
    """Somebody else wrote the object meanwhile, or a precondition does not hold."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(kind, name))


def precondition_failed(kind: Kind, name: str, why: str) -> ApiError:
    """The object to be deleted is not the one that was meant. Unlike other conflicts, it names the kind."""
    found = {"name": name, "group": kind.group, "kind": kind.kind}
    details = {key: value for key, value in found.items() if value}
    message = f'Operation cannot be fulfilled on {kind.qualified_kind} "{name}": {why}'
    return ApiError(409, "Conflict", message, details)


def invalid(kind: Kind, name: str, causes: list[tuple[str, str, str]], *, of_resource: bool = False) -> ApiError:
    """Fields that the API server itself refuses: (field, cause's reason, message).

    `of_resource` says `services` where most checks say `Service`.
    """
    parts = [f"{field}: {message}" for field, _, message in causes]
    text = parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"
    details = {
        "name": name,
        "group": kind.group,
        "kind": kind.plural if of_resource else kind.kind,
        "causes": [{"reason": reason, "message": message, "field": field} for field, reason, message in causes],
    }
    found = {key: value for key, value in details.items() if value}
    what = kind.resource if of_resource else kind.qualified_kind
    return ApiError(422, "Invalid", f'{what} "{name}" is invalid: {text}', found)


def bad_request(message: str) -> ApiError:
    """The request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def denied(webhook: str, message: str) -> ApiError:
    """A Knative webhook refuses the object."""
    return bad_request(f'admission webhook "{webhook}" denied the request: {message}')


def expired(wanted: int, oldest: int) -> ApiError:
    """A watch wants to begin before what is remembered."""
    return ApiError(410, "Expired", f"too old resource version: {wanted} ({oldest})")


def unauthorized() -> ApiError:
    """No token, or not this runtime's."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> ApiError:
    """The resource is there, the verb is not."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message)


def unsupported_media_type(accepted: list[str]) -> ApiError:
    """The body comes in a format that is not taken here."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", message)
