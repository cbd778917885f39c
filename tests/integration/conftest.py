"""Failed assertions of the harness are explained like those of the tests themselves."""

import pytest

pytest.register_assert_rewrite("tests.integration.stack", "tests.integration.emulated_azure")
