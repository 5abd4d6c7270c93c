"""The page as a process of its own, and someone who visits it with a real browser."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from urllib.request import urlopen

ROOT = Path(__file__).parents[3]
PICTURES = ROOT / "out" / "page"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PATIENCE_S = 150.0
SHOWN_S = 20.0  # for a question that was sent to be seen on a busy machine


def until(condition, patience_s=PATIENCE_S):
    """Return what a condition gives once it is true."""
    until_s = monotonic() + patience_s
    while monotonic() < until_s:
        if found := condition():
            return found
        sleep(0.05)
    raise AssertionError(f"not within {patience_s:g} s")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def served(folder, port, *command):
    """Lend the address of a page that this command begins."""
    environment = {**os.environ, "HOME": str(folder), "STREAMLIT_SERVER_HEADLESS": "true", "HF_HUB_OFFLINE": "1"}
    log = folder / f"{port}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            until(lambda: _is_healthy(port) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)
    assert "Traceback" not in log.read_text(), log.read_text()


def _is_healthy(port):
    try:
        with urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as response:
            return response.read() == b"ok"
    except OSError:
        return False


def start_chromium(downloads):
    """Return a driver of a browser without a window."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--lang=en-US"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


class Visitor:
    """Finds things by what they are, and waits for them. Each look at the page is a new visit."""

    def __init__(self, driver, address):
        self.driver = driver
        self.address = address

    def look(self, *, width=1280, height=900, dark=False):
        """Open the page on a screen of this size."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 640}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(self.address)
        self.sees(".st-key-example_1 button, .stAlert")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText).join('\\n')"
        return self.run(script, selector)

    def sees(self, selector, words=""):
        """Wait for something that has these words."""
        until(lambda: self.driver.find_elements("css selector", selector) and words in self.text(selector))

    def press(self, selector, words=""):
        """Click the first that has these words."""
        script = """
            const found = [...document.querySelectorAll(arguments[0])].find(e => e.innerText.includes(arguments[1]))
            found?.click()
            return !!found"""
        until(lambda: self.run(script, selector, words))

    def ask(self, question):
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.common.keys import Keys

        def times():
            return self.text("[data-testid=stChatMessage]").count(question)

        def asked():
            # as people do: what a redrawn page swallowed, before it was sent or with it, is typed again
            try:
                box = self.driver.find_element("css selector", ".st-key-question textarea")
                box.send_keys(Keys.CONTROL + "a", Keys.NULL, question)
                if box.get_property("value") != question:
                    return False
                box.send_keys("\n")
            except WebDriverException:
                return False
            shown_s = monotonic() + SHOWN_S
            while times() == before and monotonic() < shown_s:
                sleep(0.05)
            return times() > before

        before = times()
        until(asked)

    def answer(self, number=0):
        """What was said so far in a round; nothing while the page is drawn anew."""
        script = """
            const said = [...document.querySelectorAll(arguments[0])]
            return said.find(e => !e.closest('[data-testid=stCaptionContainer]'))?.innerText ?? ''"""
        return self.run(script, f".st-key-answer_{number} .stMarkdown p")

    def costs(self, number=0):
        return self.text(f".st-key-answer_{number} [data-testid=stCaptionContainer]")

    def finished(self, number=0):
        """Wait until an answer is over, and return it."""
        self.sees(f".st-key-answer_{number} [data-testid=stCaptionContainer]")
        self.sees(".st-key-regenerate button")
        return until(lambda: self.answer(number))

    def second(self):
        """Where the player is."""
        return self.run("return document.querySelector('video').currentTime")

    def press_frame(self, number):
        """Click a frame of the strip, which lives in a shadow tree."""
        script = """
            const trees = [...document.querySelectorAll('.st-key-frames *')].map(e => e.shadowRoot).filter(Boolean)
            const frame = trees.flatMap(tree => [...tree.querySelectorAll('button')])[arguments[0]]
            frame?.click()
            return !!frame"""
        until(lambda: self.run(script, number))

    def give(self, path):
        """Choose a file for the upload."""
        self.sees("input[type=file]")
        self.driver.find_element("css selector", "input[type=file]").send_keys(str(path))

    def write(self, selector, words):
        """Replace what stands in a field."""
        self.sees(selector)
        field = self.driver.find_element("css selector", selector)
        self.run("arguments[0].select()", field)
        field.send_keys(words + "\n")

    def picture(self, name):
        self.driver.save_screenshot(str(PICTURES / f"{name}.png"))
