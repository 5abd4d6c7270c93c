"""A browser, and the page with joey; both once for all tests."""

import os

import pytest
from browser import CHROMIUM, DRIVER, PICTURES, Visitor, free_port, served, start_chromium


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    if CHROMIUM is None or DRIVER is None:
        missing = "the page was NOT tried: no chromium here; apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    PICTURES.mkdir(parents=True, exist_ok=True)
    driver = start_chromium(tmp_path_factory.mktemp("downloads"))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    port = free_port()
    with served(tmp_path_factory.mktemp("page"), port, "kangaroo.cli", "ui", "--port", str(port)) as address:
        yield address


@pytest.fixture
def visitor(driver, page):
    driver.get_log("browser")
    visitor = Visitor(driver, page)
    visitor.look()
    yield visitor
    complaints = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert complaints == []
