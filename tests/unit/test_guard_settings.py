"""What a guard is given by its process, beside what the sink's own code reads."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from loghc.guard import settings


def test_the_guard_imports_from_where_the_process_does(monkeypatch) -> None:
    import urllib3

    import loghc

    expected = [str(Path(each.__file__).parent.parent) for each in (loghc, urllib3)]
    assert settings.import_paths() == expected
    monkeypatch.delitem(sys.modules, "urllib3")  # before the first ping
    assert settings.import_paths() == expected
    assert "urllib3" not in sys.modules


@pytest.mark.parametrize("module", [ModuleType("urllib3"), None], ids=["of no file", "missing"])
def test_what_lies_in_no_file_a_guard_can_t_import(monkeypatch, module) -> None:
    monkeypatch.setitem(sys.modules, "urllib3", module)
    if module is None:
        monkeypatch.delitem(sys.modules, "urllib3")
        monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="urllib3 isn't found"):
        settings.import_paths()


def test_the_guard_s_environment_is_what_pings_depend_on(monkeypatch) -> None:
    for name in ("https_proxy", "NO_PROXY", "SSL_CERT_FILE", "HEALTH_CHECK_CA_FILE"):
        monkeypatch.setenv(name, f"the {name}")
    monkeypatch.setenv("HEALTH_CHECK_URL", "https://hc-ping.com/secret")
    found = settings.environment()
    assert found["https_proxy"] == "the https_proxy"
    assert {"NO_PROXY", "SSL_CERT_FILE", "HEALTH_CHECK_CA_FILE"} <= set(found)
    assert not {"HEALTH_CHECK_URL", "PATH", "HOME"} & set(found)
