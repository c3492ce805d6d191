"""Which names Kubernetes and Knative accept. Pure; each check returns the complaint, or an empty text.

Source: k8s.io/apimachinery pkg/util/validation/validation.go.
"""

import re

_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS_1123_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_1123_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")

_SAYS_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_SAYS_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_SAYS_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)

_SAYS_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def _check(name: str, pattern: re.Pattern[str], says: str, longest: int) -> str:
    complaints = [] if pattern.fullmatch(name) else [says]
    if len(name) > longest:
        complaints.insert(0, f"must be no more than {longest} characters")
    return " ".join(complaints)


def complain_dns_1035_label(name: str) -> str:
    """A Service of Knative: it becomes a DNS label and must begin with a letter."""
    return _check(name, _DNS_1035, _SAYS_1035, 63)


def complain_dns_1123_subdomain(name: str) -> str:
    """Most objects."""
    return _check(name, _DNS_1123_SUBDOMAIN, _SAYS_SUBDOMAIN, 253)


def complain_dns_1123_label(name: str) -> str:
    """Namespaces."""
    return _check(name, _DNS_1123_LABEL, _SAYS_LABEL, 63)


def complain_label_value(value: str) -> str:
    """The value of a label."""
    return _check(value, _LABEL_VALUE, _SAYS_LABEL_VALUE, 63)


def is_config_key(key: str) -> bool:
    """A key of a ConfigMap's or Secret's data."""
    return bool(_CONFIG_KEY.fullmatch(key)) and len(key) <= 253 and key not in {".", ".."}
