"""A browser for each file that needs one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from page_kit import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")  # see the fixture of the tests of the page
def browser() -> "Iterator[Browser]":
    with chromium() as started:
        yield started
