"""Fixtures of suites, which the tests of the pytest plugin share with those of evaluation."""

from tests.evaluation.conftest import small, write_jsonl, write_suite

__all__ = ["small", "write_jsonl", "write_suite"]
