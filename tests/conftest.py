"""Fixtures for all tests."""

pytest_plugins = ["pytester", "tests.fixtures_llm", "tests.fixtures_postgres"]
