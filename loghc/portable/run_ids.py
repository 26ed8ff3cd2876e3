"""The ids of runs, made alike in the program and outside of it."""

import os

from .stdlib import load

__all__ = ["new_run_id", "run_id_from"]

_NAMESPACE_URL = bytes.fromhex("6ba7b8119dad11d180b400c04fd430c8")  # uuid.NAMESPACE_URL


def new_run_id() -> str:
    """A random UUID (version 4) in its canonical text form."""
    return _uuid(os.urandom(16), 4)


def run_id_from(name: object) -> str:
    """The run id that a name stands for.

    A UUID (a ``uuid.UUID``, or its canonical text) is used as it is. Anything else maps to
    ``uuid5(NAMESPACE_URL, "loghc:run:" + str(name))``, the same for the same name everywhere, so
    that other tools can agree on it.

    Raises:
        Exception: whatever the name's own ``__str__`` does.

    Example:
        >>> run_id_from("9e9d9bbe-4f2b-4a0e-a1e0-111111111111")
        '9e9d9bbe-4f2b-4a0e-a1e0-111111111111'
        >>> run_id_from("nightly-42") == run_id_from("nightly-42")
        True
    """
    # Without the module uuid: it takes longer to import than all of loghc, and a watched program
    # may have a file of that name.
    text = str(name)
    digits = text.replace("urn:", "").replace("uuid:", "").strip("{}").replace("-", "")
    if len(digits) == 32:
        try:
            canonical = _dashed(f"{int(digits, 16):032x}")
        except ValueError:
            pass
        else:
            return text if text.lower() == canonical else canonical
    return _uuid(_sha1(_NAMESPACE_URL + ("loghc:run:" + text).encode("utf-8", "replace")), 5)


def _uuid(data: bytes, version: int) -> str:
    value = int.from_bytes(data[:16], "big")
    value = value & ~(0xF << 76) & ~(0b11 << 62) | version << 76 | 0b10 << 62  # 0b10: the variant
    return _dashed(f"{value:032x}")


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _sha1(data: bytes) -> bytes:
    try:
        digest = load("_sha1").sha1(data).digest()  # type: bytes
    except ImportError:  # some distributions build Python without it
        sha1 = load("_hashlib").openssl_sha1
        digest = sha1(data, usedforsecurity=False).digest()  # no test can tell: FIPS mode's
    return digest
