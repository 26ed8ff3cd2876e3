"""The ``loghc`` command."""
