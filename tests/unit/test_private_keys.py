"""Private keys of which an end is missing: what is the key's goes, and what stands around stays."""

from __future__ import annotations

import base64

import pytest

from loghc.log.secrets import mask_secrets

# Put together here, so that no scanner of repositories takes it for a leaked one.
BEGIN, END = "-----BEGIN EC PRIVATE KEY-----", "-----END EC PRIVATE KEY-----"
REPEATED = "\n".join(["[redacted]"] * 3 + ["xY9="])  # once secret, secret everywhere
KEY = "\n".join(["aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0vW" * 2] * 3 + ["xY9="])


@pytest.mark.parametrize(
    ("text", "out"),
    [
        (f"one\n{BEGIN}\n{KEY}\n{END}\ntwo\n", f"one\n{BEGIN}[redacted]{END}\ntwo\n"),
        (f"one\n{BEGIN}\n{KEY}\ntwo words.\n", f"one\n{BEGIN}[redacted]two words.\n"),
        (
            f"one\n{BEGIN}\n{KEY}\ntwo words.\n{BEGIN}\n{KEY}\n{END}\nthree\n",
            f"one\n{BEGIN}[redacted]two words.\n{BEGIN}[redacted]{END}\nthree\n",
        ),
        (
            f"one\n{BEGIN}\n{KEY}\ntwo words.\n{BEGIN}\n{KEY}\nthree words.\n",
            f"one\n{BEGIN}[redacted]two words.\n{BEGIN}[redacted]three words.\n",
        ),
        (
            f"one word\n{KEY}\n{END}\ntwo words.\n{KEY}\n{END}\n",
            f"one word\n[redacted]{END}\ntwo words.\n[redacted]{END}\n",
        ),
        (f"{BEGIN} is what a key begins with\n", f"{BEGIN} is what a key begins with\n"),
        (f"{BEGIN}\nhunter two.\n{END}\n", f"{BEGIN}[redacted]{END}\n"),
        (f"{KEY}\n{END}\n", f"[redacted]{END}\n"),
        (f"{BEGIN}\n{END}\n", f"{BEGIN}\n{END}\n"),
        (f"{'a' * 20}\ntwo words\n{KEY}\n{END}\n", f"{'a' * 20}\ntwo words\n[redacted]{END}\n"),
        # A line of 16 characters of base64 is a key's.
        (f"{BEGIN}\naB3dE5fG7hI9jK1X=\ntwo words.\n", f"{BEGIN}[redacted]two words.\n"),
        (f"{BEGIN}\naB3dE5fG7hI9jK1\ntwo.\n", f"{BEGIN}\naB3dE5fG7hI9jK1\ntwo.\n"),
        *(
            (f"{BEGIN}\n{header}: by hand.\n{KEY}\ntwo.\n", f"{BEGIN}[redacted]two.\n")
            for header in ("Proc-Type", "DEK-Info", "Version", "Comment")
        ),
        (f"{BEGIN}\nOther: by hand.\n{KEY}\n", f"{BEGIN}\nOther: by hand.\n{KEY}\n"),
        (f"{BEGIN}\naB3dE5fG7hI9jK1X\nxY9\ntwo.\n", f"{BEGIN}[redacted]two.\n"),
        (f"{BEGIN}\nxY9\naB3dE5fG7hI9jK1X\n", f"{BEGIN}\nxY9\naB3dE5fG7hI9jK1X\n"),
        # At its end are two short lines at most, and blank ones.
        (f"one.\n{KEY}\n{END}", f"one.\n[redacted]{END}"),
        (f"one.\n{KEY}\n\n=aB3d\n\n{END}", f"one.\n[redacted]{END}"),
        (f"one.\n{KEY}\n12: =aB3d\n12: {END}", f"one.\n[redacted]{END}"),
        (f"{KEY}\naB3d\naB3d\n{END}", f"{KEY}\naB3d\naB3d\n{END}"),
        (f"{KEY}\ntwo words.\n{END}", f"{KEY}\ntwo words.\n{END}"),
        (f"one\n{KEY}\n12: {END}", f"one\n[redacted]{END}"),
        (f"{KEY[::-1]}\none\n{KEY}\n{END}", f"{KEY[::-1]}\none\n[redacted]{END}"),
        (f"{KEY}\none\n{KEY}\n{END}", f"{REPEATED}\none\n[redacted]{END}"),
        (f"{BEGIN}\n 'aB3dE5fG7hI9jK1X',\n 'two.'\n", f"{BEGIN}[redacted] 'two.'\n"),
        (f'{BEGIN}",\n "aB3dE5fG7hI9jK1X",\n "two."\n', f'{BEGIN}[redacted] "two."\n'),
        (f"{END}{'a' * 16}\n{END}", f"{END}[redacted]{END}"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\\n", "\\\\n", "\\r\\n", "\\\\r\\\\n"])
def test_of_a_private_key_nothing_is_left_and_of_the_rest_all(
    text: str, out: str, newline: str
) -> None:
    assert mask_secrets(text.replace("\n", newline)) == out.replace("\n", newline)


@pytest.mark.parametrize("before", [b"", b"x", b"xy"])
def test_nothing_is_left_of_a_private_key_in_base64(before: bytes) -> None:
    encoded = base64.b64encode(before + f"{BEGIN}\n{KEY}\n{END}\n".encode()).decode()
    masked = mask_secrets(f"one {encoded} two")
    assert masked.startswith("one ")
    assert masked.endswith("[redacted] two")
    assert len(masked) < 30
