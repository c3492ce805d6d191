"""Every error this package raises on purpose, with a sentence that may be shown to a physicist.

    OnDemandError
    ├── SettingsError              a setting of the environment is missing or senseless
    ├── StoreError                 a store did not do what was asked
    │   ├── StoreUriError          no backend answers to this URI
    │   ├── AddressRefused         the host's address is private, and not listed as such
    │   ├── StoreUnavailable       passing: network, timeouts, 5xx (transient)
    │   ├── ObjectChanged          replaced while it was read (transient)
    │   ├── TransferDamaged        what came has not the checksum that the store tells (transient)
    │   ├── AccessDenied           the credentials do not allow it
    │   ├── RangeBehindEnd         a range begins behind the object's end
    │   ├── ObjectMissing          nothing is stored under that key, or the bucket does not exist
    │   └── PreconditionFailed     somebody else wrote first
    ├── TarballError               a metrics tarball cannot be used; its reason goes into the manifest
    │   └── TarballDamaged         bytes are missing or wrong, here or on the way
    └── SnapshotError              a published snapshot cannot be used
        ├── ManifestError          the manifest is no JSON, or of a version that this image does not know
        ├── ChecksumMismatch       an object is not what the manifest says
        └── AnswersError           recorded answers cannot be made, or not be used

Messages never carry credentials: backends translate their library's errors instead of quoting them.
"""

from typing import ClassVar


class OnDemandError(Exception):
    """Base of the tree; `transient` says whether the same call may succeed later without anybody's help."""

    transient: ClassVar[bool] = False


class SettingsError(OnDemandError):
    """A setting is missing or senseless; the message names the variable."""


class StoreError(OnDemandError):
    """A store did not do what was asked."""


class StoreUriError(StoreError):
    """The URI has a scheme that no backend serves, or lacks a part."""


class AddressRefused(StoreError):
    """A host, or one that a redirect leads to, has an address that this deployment does not ask."""


class StoreUnavailable(StoreError):
    """The store does not answer for now; asking again later may help."""

    transient: ClassVar[bool] = True


class ObjectChanged(StoreError):
    """An object was replaced while it was read: reading it anew gives the new one."""

    transient: ClassVar[bool] = True


class TransferDamaged(StoreError):
    """The bytes that came are not those of which the store tells the checksum."""

    transient: ClassVar[bool] = True


class AccessDenied(StoreError):
    """The store knows us and says no, or does not know us."""


class RangeBehindEnd(StoreError):
    """The object ends before the bytes that were asked for."""


class ObjectMissing(StoreError):
    """Nothing is stored under that key."""


class PreconditionFailed(StoreError):
    """A conditional write found another content than expected: read again, then decide again."""


class TarballError(OnDemandError):
    """One metrics tarball cannot be used; the message is its reason in plain words."""


class TarballDamaged(TarballError):
    """Bytes of it are missing or wrong: it was written, or came, damaged."""


class SnapshotError(OnDemandError):
    """A published snapshot cannot be used."""


class ManifestError(SnapshotError):
    """The manifest is no JSON, lacks a field, or is of a version that this image does not know."""


class ChecksumMismatch(SnapshotError):
    """An object's bytes are not those that the manifest names."""


class AnswersError(SnapshotError):
    """Recorded answers cannot be made, or are damaged, or those of another snapshot; MLflow answers by itself then."""
