"""Fixtures of suites, which the tests of the pytest plugin share with those of evaluation.

A pytest that runs inside a test unloads what it imported, and numpy can't be loaded twice: so it is loaded before.
"""

import numpy as np  # noqa: F401
import sklearn.linear_model  # noqa: F401

from tests.evaluation.conftest import small, write_jsonl, write_suite

__all__ = ["small", "write_jsonl", "write_suite"]
