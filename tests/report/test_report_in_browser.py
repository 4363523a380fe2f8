"""The page as a reader's browser shows it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.browser

IMAGES = """[...document.querySelectorAll('svg[role=img]')].map(one => {
    const box = one.getBoundingClientRect();
    return [box.left, box.right, box.height, one.getAttribute('aria-label')];
})"""
TABLES = """[...document.querySelectorAll('.scroll')].map(one => {
    const box = one.getBoundingClientRect();
    return [one.getAttribute('aria-label'), box.left, box.right, one.scrollWidth - one.clientWidth];
})"""
FITTING = ("Results", "Cost")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_api.sync_playwright() as playwright:
        try:  # the machine's browser, else the one that `playwright install chromium` brings
            chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"no Chromium: apt install chromium, or playwright install chromium ({error.message[:80]})")
        yield chromium
        chromium.close()


@pytest.mark.parametrize("width", [390, 1112, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(browser: sync_api.Browser, built: Path, width: int, scheme: str) -> None:
    address = (built / "index.html").as_uri()
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    assert said == []
    assert asked == [address]  # nothing else is fetched, from the network or from disk

    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    wide, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= room == width
    images = page.evaluate(IMAGES)
    assert len(images) > 15
    for left, right, height, words in images:
        assert 0 <= left < right <= width, words
        assert right - left > 100, words
        assert height > 50, words
        assert words
    tables = page.evaluate(TABLES)
    assert {*FITTING} < {name for name, *_ in tables}
    for name, left, right, hidden in tables:  # what does not fit is scrolled inside its own frame
        assert 0 <= left < right <= width, name
        assert hidden == 0 or width < 1112 or name not in FITTING, (name, hidden)
    for heading in (
        "What context is worth",
        "Learning curves",
        "Few-shot curves",
        "Where exploration lands",
        "Fairness",
    ):
        assert page.get_by_role("heading", name=heading).is_visible(), heading
    for target in page.evaluate("[...document.querySelectorAll('a')].map(one => one.getAttribute('href'))"):
        assert (built / target).is_file(), target

    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(252, 252, 250)", "dark": "rgb(21, 24, 28)"}[scheme]
    page.close()
