"""A real server and a real browser: people judge typefaces by their weight, the server is killed, nothing is lost."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from scipy.stats import rankdata
from tests.reporting.browser import CHROMIUM, Browser

from twinrank.data.formats.votes.read import read_votes
from twinrank.data.images.files import image_files
from twinrank.data.judgements import load_pairs
from twinrank.data.source import Source
from twinrank.exporting.card import model_card
from twinrank.inference.load import load_predictor
from twinrank.labelling.storage import LabelStore
from twinrank.workflows import fit_plan

SET = Path(__file__).parents[1] / "typefaces"
QUESTION = "Which word is <b>bolder</b>\x1b[31m?"
RATER, IMAGE = "<b onclick=alert(1)>Ada&\"'", "\x1b[31m<img src=x onerror=alert(1)>&\"'.png"
"""Names that others may choose; they stay text everywhere."""
BOLD = "word_0001.png"
BY_PAGE, BY_EACH = 200, 20
LATE = """(async () => {
  while (!state.ready) await pause(2);
  const [decode, before] = [HTMLImageElement.prototype.decode, state.current];
  HTMLImageElement.prototype.decode = () => new Promise(() => {});
  at('undo').click();
  while (state.undoing || state.current === before) await pause(2);
  const waiting = state.current;
  document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft', bubbles: true }));
  for (const each of document.querySelectorAll('#judge [data-outcome], .pane')) each.click();
  const found = [state.current === waiting, state.unsent.length, at('left').style.visibility];
  HTMLImageElement.prototype.decode = decode;
  show(waiting);
  while (!state.ready) await pause(2);
  return [...found, at('left').style.visibility];
})()"""
"""Answers to a pair whose images are still loading are not taken, and the last pair is not on the screen."""
BROKEN = """(async () => {
  const pair = state.current;
  await show({ ...pair, right: 999 });
  const off = [...document.querySelectorAll('#judge [data-outcome]')].filter((each) => each.disabled).length;
  judge('left');
  const said = [off, state.unsent.length, at('status').textContent];
  await show(pair);
  return said;
})()"""
LOST = """(async () => {
  while (!state.ready) await pause(2);
  const [ask, refused] = [window.fetch, '{"detail": "pair 1 has another answer; load the page again"}'];
  window.fetch = async (path, sent) =>
    path.startsWith('api/pairs') ? new Response(refused, { status: 409 }) : ask(path, sent);
  judge('tie');
  while (state.unsent.length || state.busy) await pause(2);
  window.fetch = ask;
})()"""
GAP = """(() => {
  const [first, last] = [1, 9].map((place) => ({ image: 0, place, first: 1, last: 9, name: 'a' }));
  order({ images: 9 }, { judgements: 5, ranking: [first, last] });
  return [...at('order').children].map((each) => each.textContent);
})()"""
JUDGE = """(async () => {
  const truth = %s;
  for (let number = 0; number < %d; number++) {
    while (!state.ready) await pause(0);
    const [left, right] = [truth[state.current.left], truth[state.current.right]];
    const key = left > right ? 'ArrowLeft' : left < right ? 'ArrowRight' : ' ';
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  }
  while (state.unsent.length) await pause(2);
})()"""

FULL = """(async () => {
  while (!state.ready) await pause(2);
  const [ask, full, statuses] = [window.fetch, '{"detail": "judgements.db: full"}', [408, 503]];
  window.fetch = async (path) =>
    new Response(full, { status: (path.startsWith('api/pairs') && statuses.shift()) || 503 });
  document.querySelector('[data-outcome=skip]').click();
  while (statuses.length || !at('problem').textContent.includes('full')) await pause(2);
  window.fetch = ask;
  return at('problem').textContent;
})()"""
"""An answer that came too late, and then met a full disk, is kept and sent again."""


class Served(NamedTuple):
    process: subprocess.Popen[str]
    url: str
    database: Path

    def call(self, path: str, body: object = None, **headers: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, {"Content-Type": "application/json"} | headers)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer) if answer.headers["Content-Type"] == "application/json" else answer.read()

    def refusal(self, path: str, body: object = None, **headers: str) -> int:
        with pytest.raises(HTTPError) as error:
            self.call(path, body, **headers)
        error.value.close()
        return error.value.code


@pytest.fixture
def escapes() -> Callable[[str], list[str]]:
    """What of a text a terminal or a browser would take for more than text."""

    def found(text: str) -> list[str]:
        controls = [repr(letter) for letter in text if ord(letter) < 32 and letter not in "\n\t"]
        return controls + [each for each in ("<img src=x", "<b onclick", "<b>bolder") if each in text]

    return found


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The typefaces; a bold one has a hostile name."""
    folder = shutil.copytree(SET / "images", tmp_path_factory.mktemp("images") / "words")
    (folder / BOLD).rename(folder / IMAGE)
    return folder


@pytest.fixture(scope="module")
def truth(images: Path) -> list[float]:
    with (SET / "truth.csv").open(newline="", encoding="utf-8") as file:
        score = {row["image"]: float(row["score"]) for row in csv.DictReader(file)}
    return [score[BOLD if path.name == IMAGE else path.name] for path in image_files(images)]


@pytest.fixture(scope="module")
def served(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    database = tmp_path_factory.mktemp("label") / "judgements.db"
    command = ["label", str(images), "--out", str(database), "--question", QUESTION, "--port", "0"]
    process = subprocess.Popen([sys.executable, "-m", "twinrank", *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == f"{database}: 60 images, question: Which word is <b>bolder</b>\\x1b[31m?\n"
    url = process.stdout.readline().split()[0]
    yield Served(process, url, database)
    process.kill()
    process.wait()
    process.stdout.close()


def test_requests_get_no_file_but_the_images(served: Served, images: Path) -> None:
    files = image_files(images)
    assert "torch" not in Path(f"/proc/{served.process.pid}/maps").read_text(encoding="utf-8")
    assert served.call("images/7") == files[7].read_bytes()
    assert [served.refusal(f"images/{number}") for number in ("60", "-1", "9" * 30)] == [404, 404, 404]
    assert served.refusal("images/..%2F..%2Ftruth.csv") in (404, 422)
    assert served.refusal("docs") == served.refusal("openapi.json") == 404
    assert served.refusal("", Host="evil.example") == 400
    assert served.call("images/7", Host="[::1]:80") == served.call("images/7", Host="localhost")
    assert served.refusal("api/next", {"rater": " "}) == 409
    assert served.refusal("api/next", {"rater": "Ada", "count": 10**6}) == 422
    assert served.refusal("api/next", {"rater": "A" * 20_000}) == 413
    assert served.refusal("api/pairs/99999", {"rater": "Ada", "outcome": "left"}) == 409
    assert served.refusal("api/next", {"rater": "Ada"}, **{"Content-Type": "text/plain"}) == 422


def _is_refused_in_the_form(browser: Browser) -> None:
    """A name that the server refuses is not kept, and the form says why."""
    browser.run("at('name').value = 'A\\u202ea'; at('enter').requestSubmit()")
    browser.run("(async () => { while (at('wrong').hidden) await pause(2) })()")
    refused = "[at('judge').hidden, at('enter').hidden, at('wrong').textContent, localStorage['twinrank-rater']]"
    line = "The name of a rater has 1 to 60 characters, and no control characters."
    assert browser.run(refused) == [True, False, line, ""]


def _judges_only_what_is_shown(browser: Browser, truth: list[float]) -> None:
    assert browser.run(LATE) == [True, 0, "hidden", ""]
    browser.run(JUDGE % (json.dumps(truth), 1))
    assert browser.run(f"(async () => {{ while (!state.ready) await pause(2); return await {BROKEN} }})()") == [
        3,
        0,
        "The right image cannot be shown. Skip this pair.",
    ]
    browser.run("at('actual').click()")
    natural = "[at('left').clientWidth - at('left').naturalWidth, at('left').clientHeight - at('left').naturalHeight]"
    assert browser.run(natural) == [0, 0]


def _says_what_was_lost(browser: Browser, truth: list[float]) -> None:
    """An answer that the server refuses has a message that stays."""
    browser.run(LOST)
    browser.run(JUDGE % (json.dumps(truth), 1))
    line = "An answer was not kept: pair 1 has another answer; load the page again."
    assert browser.run("at('problem').textContent") == line


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_rater_judges_on_the_page(
    served: Served,
    images: Path,
    truth: list[float],
    called: Callable[..., CompletedProcess[str]],
    tmp_path: Path,
    escapes: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Browser(tmp_path) as browser:
        browser.open(served.url, 380)
        assert browser.run("document.querySelector('.question').textContent") == QUESTION
        _is_refused_in_the_form(browser)
        browser.run(f"at('name').value = {json.dumps(RATER)}; at('enter').requestSubmit()")
        browser.run(JUDGE % (json.dumps(truth), BY_PAGE))
        assert browser.run("document.documentElement.scrollWidth") == 380
        _judges_only_what_is_shown(browser, truth)
        before = browser.run("(async () => { while (!state.current) await pause(2); return state.current })()")
        browser.run("at('undo').click()")
        again = browser.run("(async () => { while (state.undoing) await pause(2); return state.current })()")
        assert again["id"] > before["id"]
        assert browser.run("at('status').textContent").startswith("The last answer is taken back")
        browser.run(JUDGE % (json.dumps(truth), 1))
        # The pair that waited comes next, and a button does what its key does.
        shown = browser.run("(async () => { while (!state.current) await pause(2); return state.current })()")
        assert shown == before
        assert browser.run(FULL).endswith("judgements.db: full. 1 answer of yours waits here; keep this page open.")
        browser.run("(async () => { while (state.unsent.length || state.busy) await pause(2) })()")
        _says_what_was_lost(browser, truth)
        unnamed = (
            "[...document.querySelectorAll('button')].filter((each) => !(each.ariaLabel || each.textContent).trim())"
        )
        assert browser.run(f"{unnamed}.length") == 0
        browser.run("at('tab-ranking').click()")
        # A bold word comes to the upper end, once the ranking is up to date.
        shown = f"at('order').textContent.includes({json.dumps(IMAGE)})"
        browser.run(f"(async () => {{ while (!{shown}) {{ await refresh(); await pause(50); }} }})()")
        assert browser.run("at('raters').querySelector('th').textContent") == RATER
        assert browser.run("at('order').childElementCount") == len(truth)
        assert browser.run(GAP) == ["1 (1–9) a", "… 7 more images lie between …", "9 (1–9) a"]
        refusals = ("status of 409", "images/999")
        assert [each for each in browser.problems if not any(known in each for known in refusals)] == []
    assert served.call("api/standings")["raters"][0]["skipped"] == 1
    # While the server runs.
    quick = "--minutes", "0", "--size", "64", "--fit", "pad"
    monkeypatch.setattr(fit_plan, "_MOST_TIMED", 2)
    fitted = called("fit", served.database, "--images", images, "--out", "fit", *quick, cwd=tmp_path)
    assert fitted.returncode == 0, fitted.stderr
    assert "A rater who judged a pair again said the same in" in fitted.stdout
    assert "left = left" not in fitted.stdout
    form = load_predictor(tmp_path / "fit" / "model").form
    assert form.question == "Which word is <b>bolder</b>\\x1b[31m?"
    card = model_card("x", "x", [tmp_path / "fit" / "model"], form, None)
    assert "> Which word is &lt;b&gt;bolder" in card
    ranked = called("rank", "fit", images, "--judgements", served.database, "--out", "again.csv", cwd=tmp_path)
    for text in (card, fitted.stdout, fitted.stderr, ranked.stdout, ranked.stderr):
        assert escapes(text) == []
    for page in (tmp_path / "fit" / "ranking.html", tmp_path / "fit" / "report.html", tmp_path / "again.html"):
        assert escapes(page.read_text(encoding="utf-8")) == []
    with (tmp_path / "fit" / "ranking.csv").open(newline="", encoding="utf-8") as file:
        score = {row["image"]: float(row["score"]) for row in csv.DictReader(file)}
    scores = [score[path.name] for path in image_files(images)]
    assert np.corrcoef(rankdata(scores), rankdata(truth))[0, 1] > 0.9


def test_a_killed_server_loses_nothing(
    served: Served, images: Path, truth: list[float], called: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    def judge(rater: str) -> list[int]:
        kept, answer = [], {}
        for _ in range(BY_EACH):
            (pair,) = served.call("api/next", {"rater": rater})["pairs"]
            left, right = truth[pair["left"]], truth[pair["right"]]
            answer = {"rater": rater, "outcome": "left" if left > right else "right" if right > left else "tie"}
            served.call(f"api/pairs/{pair['id']}", answer)
            kept.append(pair["id"])
        served.call(f"api/pairs/{kept[-1]}", answer)  # as if the first reply was lost
        return kept

    with ThreadPoolExecutor(2) as pool:
        kept = [number for numbers in pool.map(judge, ("Bo", 'Cy, "the third"')) for number in numbers]
    waiting = served.call("api/next", {"rater": "Bo"})["pairs"]
    assert served.call("api/standings")["judgements"] >= 2 * BY_EACH
    os.kill(served.process.pid, signal.SIGKILL)
    served.process.wait()

    shutil.copytree(served.database.parent, tmp_path / "copy")
    database = tmp_path / "copy" / "judgements.db"
    votes = read_votes(database)
    assert {*kept} <= {*votes.lines}
    assert not set(waiting[0].values()) >= {*votes.lines}
    done = called("label", "export", database, "--out", "votes.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"votes.csv: {len(votes)} judgements\n")
    exported = read_votes(tmp_path / "votes.csv")
    assert (exported.left, exported.right, exported.rater) == (votes.left, votes.right, votes.rater)
    assert (exported.y == votes.y).all()
    assert (exported.tie == votes.tie).all()

    pairs = load_pairs(database, source=Source(images))
    names = np.array([path.name for path in image_files(images)])
    score = dict(zip(names.tolist(), truth, strict=True))
    right = np.array([np.sign(score[left] - score[right]) for left, right in zip(votes.left, votes.right, strict=True)])
    assert pairs.y is not None
    assert (np.sign(pairs.y - 0.5) == right).all()
    # Later judgements are in the log alone, and change the digest.
    store = LabelStore(database)
    assert [row.id for row in store.rows() if row.open and row.rater == "Bo"] == [waiting[0]["id"]]
    store.answer(waiting[0]["id"], "Bo", "left")
    after = load_pairs(database, source=Source(images))
    assert (len(after), after.sha256 == pairs.sha256) == (len(pairs) + 1, False)
    store.close()
