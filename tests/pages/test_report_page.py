"""Our own page in a real browser: wide and narrow, light and dark, with nothing but a keyboard."""

import itertools
import json
import re

import pytest

ANSWERS = ("Ship", "Do not ship", "As expected", "Not as expected", "Can't tell")
# The least contrast of text, as WCAG 2.2 asks of level AA: 4.5 to 1, and 3 to 1 of what is large or bold and large.
CONTRAST = """() => {
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parts = color => color.match(/[0-9.]+/g).map(Number);
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const found = parts(getComputedStyle(one).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  for (const element of document.querySelectorAll('body *:not(svg *)')) {
    const words = [...element.childNodes].some(one => one.nodeType === 3 && one.textContent.trim());
    if (!words || !element.checkVisibility()) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const [one, other] = [light(parts(style.color).slice(0, 3)), light(behind(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) poor.add(`${element.tagName}.${element.className}: ${ratio.toFixed(2)}`);
  }
  return [...poor];
}"""
FOCUSED = """() => {
  const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
  return {tag: one.tagName, words: one.textContent.trim().slice(0, 60), href: one.getAttribute('href') || '',
    place: [box.left + scrollX, box.top + scrollY],
    outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0,
    inside: box.left >= 0 && box.right <= innerWidth + 1 && box.bottom > 0 && box.top < innerHeight};
}"""


@pytest.fixture
def report(page, played):
    page.goto((played / "report.html").as_uri())
    return page


def test_the_first_screen_has_the_answer(report):
    answer = report.locator("h1")
    assert answer.inner_text().split(maxsplit=1)[1].startswith(ANSWERS)
    box, sentence = answer.bounding_box(), report.locator(".sentence").bounding_box()
    height = report.viewport_size["height"]
    assert box["y"] + box["height"] < height / 2, "the answer is in the upper half"
    assert sentence["y"] + sentence["height"] < height
    if report.locator("#why").count():
        why = report.locator("#why + ul li").first.bounding_box()
        assert why["y"] + min(why["height"], 60) < height, "and so is the first reason"
        assert report.locator("#why + ul li a").first.get_attribute("href").startswith("#case-")


def test_the_browser_has_nothing_to_complain_of_and_asks_nobody(report):
    assert report.complaints == []
    assert [url for url in report.asked if not url.startswith("file:")] == []


def test_the_page_never_scrolls_sideways(report):
    width = report.viewport_size["width"]
    assert report.evaluate("document.documentElement.scrollWidth") <= width
    report.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert report.evaluate("document.documentElement.scrollWidth") <= width, "with everything open"


def test_the_theme_is_the_readers(report, theme):
    paper = report.evaluate("getComputedStyle(document.body).backgroundColor")
    shade = sum(int(part) for part in re.findall(r"\d+", paper)[:3]) / 3
    assert (shade < 80) == (theme == "dark"), paper


def test_every_word_can_be_read(report):
    assert report.evaluate(CONTRAST) == []


def test_every_link_leads_somewhere(report, played):
    hrefs = report.eval_on_selector_all("a[href]", "all => all.map(one => one.getAttribute('href'))")
    ids = set(report.eval_on_selector_all("[id]", "all => all.map(one => one.id)"))
    assert hrefs
    assert [href for href in hrefs if href.startswith("#") and href[1:] not in ids] == []
    files = report.eval_on_selector_all(
        "a[href]:not([href^='#'])", "all => all.map(one => decodeURIComponent(one.getAttribute('href')))"
    )
    assert [name for name in files if not (played / name).exists()] == []


def test_the_first_screen_is_walked_with_the_keyboard(report):
    stops = []
    for _ in range(12):
        report.keyboard.press("Tab")
        stops.append(report.evaluate(FOCUSED))
    assert stops[0]["href"] == "#stories", "first of all the way past everything"
    assert all(stop["outline"] for stop in stops), "one always sees where one is"
    assert all(stop["inside"] for stop in stops)
    assert all(one["place"] != other["place"] for one, other in itertools.pairwise(stops)), "no stop is a trap"


def test_enter_on_a_reason_opens_its_case(report):
    links = report.locator("#why + ul li a")
    if not links.count():
        pytest.skip("a run without a reason")
    links.first.focus()
    target = links.first.get_attribute("href")
    report.keyboard.press("Enter")
    report.wait_for_function("name => location.hash === name", arg=target)
    assert report.locator(f"[id='{target[1:]}']").is_visible()
    report.keyboard.press("Tab")
    assert report.evaluate(FOCUSED)["inside"]


def test_wide_things_scroll_by_themselves_and_with_the_keyboard(report):
    boxes = report.locator(".scroll, .canvas")
    assert boxes.count()
    for place in range(min(boxes.count(), 5)):
        assert boxes.nth(place).get_attribute("tabindex") == "0"
        assert boxes.nth(place).get_attribute("aria-label")


def test_how_long_it_takes_is_told(report, played, record_property):
    """No limit: machines differ. The figures are in the test's record."""
    seconds = report.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")
    cases = len(json.loads((played / "verdicts.json").read_text())["cases"])
    record_property("load_seconds", round(seconds, 2))
    record_property("bytes", (played / "report.html").stat().st_size)
    record_property("cases", cases)
    assert seconds > 0
