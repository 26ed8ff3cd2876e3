"""Measures what loghc costs, beside the least that could do the same and beside its peers.

``python -m benchmarks --help`` lists the commands; README.md beside this file explains each
benchmark and its figures.
"""
