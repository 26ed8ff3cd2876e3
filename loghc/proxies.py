"""Which proxy, if any, the environment names for a URL."""

from __future__ import annotations

__all__ = ["proxy_for"]


def proxy_for(scheme: str, host: str) -> str | None:
    """The proxy for requests to a host, from ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY``.

    Lower-case names go before upper-case ones; ``ALL_PROXY`` stands in for both schemes. As curl
    and the standard library read them. urllib3 itself reads none of these.

    Args:
        scheme: ``http`` or ``https``.
        host: the host, with its port where it is not the scheme's own.
    """
    from urllib.request import (  # type: ignore[attr-defined]  # documented, not in its stub
        getproxies_environment,
        proxy_bypass_environment,
    )

    proxies = getproxies_environment()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass_environment(host, proxies):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
