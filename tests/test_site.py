"""The documentation builds without a warning, is complete, and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.reporting.browser import CHROMIUM, Browser

import twinrank as tr

ROOT = Path(__file__).parents[1]
ELSEWHERE = re.compile(r"^(https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. Any warning fails the build: a dead link or anchor, a page outside the navigation."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


class Loaded(HTMLParser):
    """What a page loads, and the texts of its paragraphs."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.paragraphs: list[str] = []
        self._open = False
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += filter(None, (given.get("src"), given.get("srcset")))
        if tag == "link" and given.get("rel") != "canonical":
            self.addresses.append(given.get("href") or "")
        if tag == "p":
            self._open = True
            self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open &= tag != "p"

    def handle_data(self, data: str) -> None:
        if self._open:
            self.paragraphs[-1] += data


def pages(site: Path) -> Iterator[tuple[str, Loaded]]:
    for page in sorted(site.rglob("*.html")):
        # The pages of runs are not built here.
        if page.name != "report.html":
            yield page.relative_to(site).as_posix(), Loaded(page)


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = {name: page.addresses for name, page in pages(site)}
    assert len(loaded) > 20
    assert not [(name, each) for name, addresses in loaded.items() for each in addresses if ELSEWHERE.match(each)]
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"url\(['\"]?https?:|@import", styles)


def test_without_a_network_the_page_to_play_on_says_why(site: Path) -> None:
    page = (site / "play" / "index.html").read_text(encoding="utf-8")
    assert "onnxruntime-web could not be fetched" in page
    assert 'href="../play/index.html"' in (site / "docs" / "play.html").read_text(encoding="utf-8")


def test_lists_are_lists(site: Path) -> None:
    """Markdown wants an empty line before a list, where GitHub does not."""
    lists = re.compile(r"^(-|\d\.) ", re.MULTILINE)
    assert not [(name, text) for name, page in pages(site) for text in page.paragraphs if lists.search(text)]


def test_the_reference_has_every_public_name(site: Path) -> None:
    page = (site / "docs" / "reference.html").read_text(encoding="utf-8")
    assert not [name for name in tr.__all__ if f'id="twinrank.{name}"' not in page]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_it_is_searched_without_a_server(site: Path, tmp_path: Path) -> None:
    found = """new Promise(done => {
        const field = document.querySelector("input.md-search__input");
        const toggle = document.querySelector("#__search");
        toggle.checked = true; toggle.dispatchEvent(new Event("change"));
        field.focus(); field.value = "antisymmetry"; field.dispatchEvent(new KeyboardEvent("keyup"));
        const look = () => document.querySelector("a.md-search-result__link") ? done(true) : setTimeout(look, 50);
        look();
    })"""
    with Browser(tmp_path) as browser:
        browser.open(site / "index.html", 1200)
        assert browser.run(found)
        assert not browser.problems
