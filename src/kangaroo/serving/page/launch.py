"""Begin the page as a process of Streamlit's, which takes this one's place. Imports nothing heavy."""

import importlib.util
import os
import sys
from pathlib import Path

from kangaroo.errors import OptionError
from kangaroo.video.fetch import is_loopback


def launch(*, model: str | None, endpoint: str | None, device: str | None, host: str, port: int) -> None:
    """Serve the page until it is stopped. Does not return.

    Raises:
        OptionError: Streamlit is not installed.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise OptionError("streamlit, which shows the page, is missing; pip install 'kangaroo-video[serve]'")
    script = Path(__file__).with_name("app.py")
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    command += ["--server.address", host]
    if not is_loopback(host):
        command += ["--server.allowedHosts", "*"]
    given = {"--model": model, "--endpoint": endpoint, "--device": device}
    command += ["--", *(part for name, value in given.items() if value is not None for part in (name, value))]
    os.execv(sys.executable, command)
