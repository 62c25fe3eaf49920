"""Chromium without a window, driven through its own protocol over a pair of pipes, and a page to look at."""

import base64
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mfif.classical import ConstantMap
from mfif.data.benchmarks import BenchmarkPair
from mfif.evaluation.cache import Cache
from mfif.evaluation.runner import Evaluation
from mfif.evaluation.trial import Trials
from mfif.fusion.fusers import Fuser
from mfif.fusion.image_fusers import ImageFuser
from mfif.metrics import CE, EN
from mfif.report.files import Report
from mfif.report.page import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
KEYS = {
    "Enter": 13,
    " ": 32,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Tab": 9,
    "+": 187,
    "0": 48,
}


class Browser:
    """One page of one browser; what it complains about and asks the network for is kept.

    Args:
        profile: An empty folder.
    """

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._count = 0
        self._rest = b""
        (theirs_in, self._out), (self._in, theirs_out) = os.pipe(), os.pipe()
        # Chromium reads commands from descriptor 3 and writes to 4.
        wiring = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        options += ["--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", wiring, CHROMIUM, *options],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._in, 1 << 20)
            assert part, "the browser has ended"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        answer = json.loads(line)
        method, parameters = answer.get("method"), answer.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" or method == "Log.entryAdded":
            self.complaints.append(json.dumps(parameters))
        elif method == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith("data:"):
            self.requests.append(parameters["request"]["url"])
        return answer

    def open(self, page: Path, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Load a file, in a window of a size, light or dark."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.send("Page.navigate", url=page.resolve().as_uri())
        self.run("new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))")

    def run(self, script: str) -> Any:
        """Value of an expression, awaited."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys, each where the focus is."""
        for key in keys:
            told = {"key": key, "windowsVirtualKeyCode": KEYS[key], "code": "Space" if key == " " else key}
            text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
            self.send("Input.dispatchKeyEvent", type="keyDown", **told, **text)
            self.send("Input.dispatchKeyEvent", type="keyUp", **told)

    def click(self, selector: str) -> None:
        """Click into the middle of an element with the mouse."""
        x, y = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, selector: str, right: float, down: float) -> None:
        """Drag an element with the mouse by so many pixels."""
        x, y = self.middle(selector)
        mouse = {"button": "left", "buttons": 1, "clickCount": 1}
        self.send("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **mouse)
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x + right, y=y + down, **mouse)
        self.send("Input.dispatchMouseEvent", type="mouseReleased", x=x + right, y=y + down, **mouse)

    def middle(self, selector: str) -> tuple[float, float]:
        """Scroll an element into the middle of the window, and say where its own middle is."""
        return tuple(
            self.run(
                f"""(() => {{
                  const node = document.querySelector({json.dumps(selector)});
                  node.scrollIntoView({{ block: "center" }});
                  const {{ left, top, width, height }} = node.getBoundingClientRect();
                  return [left + width / 2, top + height / 2];
                }})()"""
            )
        )

    def pixels(self, selector: str) -> np.ndarray:
        """What is seen of an element, ``(H, W, 3)`` uint8."""
        self.run("Promise.all([...document.images].map(image => image.decode()))")
        place = self.run(
            f"""(() => {{
              const {{ x, y, width, height }} = document.querySelector({json.dumps(selector)}).getBoundingClientRect();
              return {{ x: x + scrollX, y: y + scrollY, width, height, scale: 1 }};
            }})()"""
        )
        shot = self.send("Page.captureScreenshot", clip=place, captureBeyondViewport=True)["data"]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB"))

    def close(self) -> None:
        """End the browser."""
        os.close(self._out)  # without commands to come it ends
        os.close(self._in)
        self._process.wait()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A running browser."""
    if CHROMIUM is None:
        pytest.skip("needs a browser: apt-get install --no-install-recommends chromium")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


HOSTILE = """<b>"x" & 'y'</b>""".replace("/", "\N{FRACTION SLASH}")
NOTE = "</script><script>document.title = 'taken'</script><!-- <script>"


class Pairs:
    """Pairs of noise with names."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def pairs(self) -> list[tuple[str, Callable[[], BenchmarkPair]]]:
        return [(name, partial(_pair, name, seed)) for seed, name in enumerate(self.names)]


def _pair(name: str, seed: int) -> BenchmarkPair:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randint(256, (2, 1, 3, 48, 64), generator=generator).to(torch.uint8)
    return BenchmarkPair(name, a, b)


def _left_half(a: Tensor, b: Tensor) -> Tensor:
    return (torch.arange(a.shape[-1]) < 20).float().expand_as(a)


def _brightest(sources: Sequence[Tensor]) -> Tensor:
    return torch.maximum(*sources) ** 0.5


def _refuse(sources: Sequence[Tensor]) -> Tensor:
    raise RuntimeError("not <i>this</i> one")


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished evaluation: three pairs, four methods of which one fails, and names made to do harm."""
    folder = tmp_path_factory.mktemp("evaluated")
    estimators = {"half": _left_half, "mean": ConstantMap(0.5)}
    methods = {name: Fuser(estimator, threshold=None) for name, estimator in estimators.items()}
    methods |= {"brightest": ImageFuser(_brightest), "<img src=x>": ImageFuser(_refuse)}
    metrics = {"EN": EN(), "CE": CE()}
    report = Report(folder, metrics, reference_points=["mean"])
    trials = Trials(methods, metrics, Cache(None), folder, "cpu")
    Evaluation(trials, report).run({"one": Pairs("1", "2"), "two": Pairs(HOSTILE)})
    write_page(report, [NOTE])
    return folder
