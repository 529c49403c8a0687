"""A real server and a real browser."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image
from tests.reporting.browser import CHROMIUM, KEY, PLAYED, Browser
from tests.shown import PAGES, blocks, lines

from twinrank.runs import RunFolder
from twinrank.serving.images import as_png

HOSTILE = "<b onclick=alert(1)>words&\x1b[31m"
"""Name of a folder, and so of a model, which stays text everywhere."""


class Served(NamedTuple):
    process: subprocess.Popen[str]
    url: str

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rstrip("/").partition(":")
        return host, int(port)

    def post(self, path: str, body: object) -> Any:
        request = Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def served(digits_run: RunFolder, words_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    hostile = shutil.copytree(words_run.path, tmp_path_factory.mktemp("serving") / HOSTILE)
    command = ["serve", str(digits_run.path), str(hostile), "--port", "0"]
    process = subprocess.Popen([sys.executable, "-m", "twinrank", *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "2 models: digits, <b onclick=alert(1)>words&\\x1b[31m\n"
    yield Served(process, process.stdout.readline().split()[0])
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_people_play_on_the_page(served: Served, tmp_path: Path) -> None:
    with Browser(tmp_path) as browser:
        browser.open(served.url, 380)
        browser.run(PLAYED)
        browser.run(KEY % ("left", "3"))
        there = browser.run(PLAYED)
        assert there["probability"] != 0.5
        assert browser.run("document.querySelectorAll('#rows tr').length") == 4
        words = browser.run("at('verdict').textContent")
        browser.run("at('swap').click()")
        back = browser.run(PLAYED)
        assert back["probability"] == 1 - there["probability"]
        side, other = ("left", "right") if words.startswith("The left") else ("right", "left")
        assert browser.run("at('verdict').textContent") == words.replace(side, other)
        # The first stroke takes the place of the example.
        browser.run(KEY % ("left", " "))
        inked = "greys(sides.left.drawing).filter((each) => each > 40).length"
        assert browser.run(inked) < 28**2
        # The cover hides all but noise in the end, and the pen draws without a mouse.
        browser.run("at('cover').value = 0; at('cover').dispatchEvent(new Event('input'))")
        for key in ("Delete", " ", "ArrowRight", "ArrowDown"):
            browser.run(KEY % ("right", key))
        assert browser.run(PLAYED)["probability"] != back["probability"]
        browser.run("explain()")
        box = "JSON.stringify(at('%s-left').getBoundingClientRect())"
        browser.run("at('seen-left').style.width = '60px'")
        assert browser.run(box % "heat") == browser.run(box % "shown")
        assert browser.run("at('looked').textContent").startswith("Blue speaks for an image")
        assert browser.run("document.documentElement.scrollWidth") == 380
        unnamed = (
            "[...document.querySelectorAll('button, input, canvas')]"
            ".filter((each) => !(each.ariaHidden || each.ariaLabel || each.textContent || each.labels?.length)).length"
        )
        assert browser.run(unnamed) == 0
        assert browser.run("at('question').textContent") == "Which one ranks higher?"
        browser.run("at('model').selectedIndex = 1; at('model').dispatchEvent(new Event('change'))")
        assert browser.run("at('verdict').textContent") == "Waiting for two images."
        assert browser.run("at('question').textContent") == "Which word is <b>bolder</b>?"
        assert browser.run("at('draw-left').offsetParent") is None
        content = as_png(np.full((3, 40, 30), 90, np.uint8))
        browser.run(
            f"(async () => {{ const bytes = Uint8Array.from(atob('{content}'), (each) => each.charCodeAt(0));"
            " for (const side of Object.values(sides)) await side.take(new File([bytes], '<b>.png')); })()"
        )
        assert browser.run(PLAYED)["model"] == HOSTILE
        assert browser.run("at('model').selectedOptions[0].textContent").startswith(HOSTILE)
        assert browser.run("document.querySelector('b[onclick]')") is None
        assert browser.run("at('what-left').textContent") == "<b>.png"
        browser.run("refused({ message: 'let `resize` do it' })")
        assert browser.run("at('problem').textContent").startswith("let “Resize images to ")
        assert browser.problems == []


def test_headers_have_an_end(served: Served) -> None:
    with socket.create_connection(served.address, timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 100_000)
        assert connection.recv(100) == b""


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_page_shows_a_request(served: Served, tmp_path: Path) -> None:
    for name, fill in (("a", 90), ("b", 160)):
        Image.fromarray(np.full((28, 28), fill, np.uint8)).save(tmp_path / f"{name}.png")
    (command,) = [line for line in lines(PAGES["serve.md"]) if "curl" in line]
    command = command.replace("localhost:8000", "{}:{}".format(*served.address))
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True)
    answer, refusal = [json.loads(text) for language, text in blocks(PAGES["serve.md"]) if language == "json"]
    assert json.loads(done.stdout).keys() >= answer.keys()
    good, bad = (as_png(np.zeros((1, side, side), np.uint8)) for side in (28, 20))
    pairs = [{"left": good, "right": good}] * 3 + [{"left": bad, "right": good}]
    with pytest.raises(HTTPError) as refused:
        served.post("compare", {"pairs": pairs})
    assert json.load(refused.value) == {"detail": refusal["detail"].replace("pretrained", "digits")}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--host", "no.such.invalid"], "cannot listen on no.such.invalid"),
        (["--port", "99999"], "--port is 99999; it must be from 0 to 65,535"),
        (["--host", "a" * 70], "cannot listen on aaa"),
        (["--threads", "0"], "--threads is 0; it must be 1 or more"),
        (["nothing"], "nothing"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str], line: str, tmp_path: Path, called: Callable[..., CompletedProcess[str]]
) -> None:
    done = called("serve", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert line in done.stderr


def test_a_missing_package_is_named(
    tmp_path: Path, called: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "twinrank.serving.app", raising=False)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    done = called("serve", cwd=tmp_path)
    assert "needs the package fastapi; install it with: pip install 'twinrank[serve]'" in done.stderr


def test_what_has_begun_is_finished(served: Served) -> None:
    """The last test: it ends the server."""
    random = np.random.default_rng(0)
    files = [as_png(image) for image in random.integers(0, 256, (256, 1, 28, 28), np.uint8)]
    body = {"pairs": [{"left": left, "right": right} for left, right in zip(files, files[::-1], strict=True)]}
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(served.post("compare", body)))
    asking.start()
    begun = False
    while not begun:
        with urlopen(served.url + "metrics", timeout=60) as found:
            begun = b"twinrank_requests_begun 2.0" in found.read()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 0
    asking.join()
    assert len(answers[0]["pairs"]) == len(files)
