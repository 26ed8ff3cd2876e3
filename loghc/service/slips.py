"""Recognises common mistakes in a text that should be a ping URL."""

from __future__ import annotations

import re

__all__ = ["slip_in"]

_PLACEHOLDER = r"<[^<>/]*>|%3c[^/]*%3e|\{[^{}/]*\}|/\$\w+|your-uuid-here"
# The pages and badges of Healthchecks, whose addresses are shown beside the ping URL.
_PAGE = r"/(?:checks|projects)/[0-9a-f]{8}-[0-9a-f]{4}-"
_BADGE = r"/badge/.*\.(?:svg|json|shields)$|/b/[0-9]/"
_SIGNS = ("<", "%3c", "{", "/$", "your-uuid-here")  # each placeholder has one of these


def slip_in(text: str) -> str | None:
    """The mistake in a text given as a ping URL, in words; None if it isn't a common one.

    Args:
        text: as given. Nothing in it that may be a secret is in the answer.
    """
    if text[:1] in ("'", '"', "\u201c", "\u2018"):
        return "it is in quotes; leave them out"
    if text[:1] == "$":
        return "it begins with a variable that no shell has expanded"
    # Patterns are compiled only if they may match: making a sink must stay cheap.
    if "=" in text.partition("://")[0]:
        name = re.match(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]{0,40})\s*=\s*['\"]?https?:", text)
        if name:
            return f"it begins with {name[1]}=; give the URL alone"
    path = text.partition("?")[0].lower()
    if "@" in path:  # a password may well look like a placeholder
        path = re.sub(r"[^/]*//[^/]*@", "", path)
    if any(sign in path for sign in _SIGNS) and re.search(_PLACEHOLDER, path):
        return "it has a placeholder in it; use your own check's URL"
    if "/checks/" in path or "/projects/" in path:
        if re.search(_PAGE, path):
            return "this is a check's page, which shows the ping URL"
    elif ("/badge/" in path or "/b/" in path) and re.search(_BADGE, path):
        return "this is a badge; the ping URL is on the check's page"
    return None
