"""What can go wrong, once: whether asking again can help, and which HTTP status says so.

Knative's broker retries 5xx, 404, 408, 409 and 429 (Eventing's delivery contract), so a fault of the event itself must
answer with another 4xx, and a passing fault with 503.

    FunctionError
    ├── Permanent            the same event will fail again: 422, or the status given
    │   ├── Malformed        no CloudEvent, or its data cannot be read: 400
    │   ├── TooLarge         the body is over the limit: 413
    │   ├── NotFound         404: for people only, since a broker would try again
    │   ├── MethodNotAllowed the method means nothing there: 405
    │   ├── Unauthorized     the bearer token is missing or wrong: 401
    │   └── Forbidden        the bearer token is good, and not for this: 403
    ├── Transient            something this event depends on is away, or not allowed yet: 503, the broker asks again
    └── ClusterConflict      the object is not what was read: read, plan and apply again (never leaves a handler)
"""


class FunctionError(Exception):
    """Everything that a function of this project reports rather than crashes on."""

    status = 500


class Permanent(FunctionError):
    """The event cannot succeed, now or later.

    `field` names the part of the event at fault, as a path from the event: `time`, `data.lifetime`,
    `data.artifacts[0]`.
    """

    status = 422

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Malformed(Permanent):
    """The request holds no readable CloudEvent of a type that this function takes."""

    status = 400


class TooLarge(Permanent):
    """The request's body is larger than this deployment accepts."""

    status = 413


class NotFound(Permanent):
    """There is nothing at that path."""

    status = 404


class MethodNotAllowed(Permanent):
    """The request's method means nothing at that path."""

    status = 405


class Unauthorized(Permanent):
    """The request carries no bearer token that this deployment knows."""

    status = 401


class Forbidden(Permanent):
    """The request carries a good token, of somebody who may not ask for this."""

    status = 403


class Transient(FunctionError):
    """A passing fault: the same event may well succeed when it is delivered again."""

    status = 503


class ClusterConflict(FunctionError):
    """Somebody else changed, made or deleted the object between our reading and our writing."""
