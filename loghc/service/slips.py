"""What is usually wrong with a text that should be a ping URL, in words."""

from __future__ import annotations

import re

__all__ = ["slip_in"]

_PLACEHOLDER = r"<[^<>/]*>|%3c[^/]*%3e|\{[^{}/]*\}|/\$\w+|your-uuid-here"
# The pages and badges of Healthchecks, whose addresses stand beside the ping URL.
_PAGE = r"/(?:checks|projects)/[0-9a-f]{8}-[0-9a-f]{4}-"
_BADGE = r"/badge/.*\.(?:svg|json|shields)$|/b/[0-9]/"
_SIGNS = ("<", "%3c", "{", "/$", "your-uuid-here")  # of which each placeholder has one


def slip_in(text: str) -> str | None:
    """The slip that a text given as a ping URL shows; None where it shows none of the usual ones.

    Args:
        text: as it was given. Nothing of it is in the answer that may be a secret.
    """
    if text[:1] in ("'", '"', "\u201c", "\u2018"):
        return "it stands in quotes; leave them out"
    if text[:1] == "$":
        return "it begins with a variable that no shell has put its value in for"
    # A pattern is compiled only where it may match: making a sink must stay cheap.
    if "=" in text.partition("://")[0]:
        name = re.match(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]{0,40})\s*=\s*['\"]?https?:", text)
        if name:
            return f"it begins with {name[1]}=; the URL alone is what belongs there"
    path = text.partition("?")[0].lower()
    if "@" in path:  # a password may well look like a placeholder
        path = re.sub(r"[^/]*//[^/]*@", "", path)
    if any(sign in path for sign in _SIGNS) and re.search(_PLACEHOLDER, path):
        return "a placeholder stands in it; put what your own check's URL has in its place"
    if "/checks/" in path or "/projects/" in path:
        if re.search(_PAGE, path):
            return "this is a check's page; its ping URL is shown there"
    elif ("/badge/" in path or "/b/" in path) and re.search(_BADGE, path):
        return "this is a badge; the ping URL is on the check's page"
    return None
