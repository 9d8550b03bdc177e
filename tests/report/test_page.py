"""The page: self-contained, escaped, true to its JSON, readable in a real browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from running import run_planner
from truths import REPOSITORY

from planner import store
from planner.quantities import dollars, human

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=3000", "--enable-logging=stderr",
)  # fmt: skip
NASTY = (
    "<script>alert(1)</script>",
    "$x^2$ & \"q\" 'q'",
    "=1+1",
    "[bold]x[/bold]",
    "a|b `c` *d*",
    "ü " * 20,
    "$(touch pwned); \\",
)


@pytest.fixture(scope="module")
def page(deepseek: Path) -> str:
    return (deepseek / store.REPORT_HTML).read_text()


class Reader(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_page_needs_nothing_from_elsewhere(page):
    reader = Reader(page)
    assert not {"script", "link", "iframe", "img", "image", "object"} & {tag for tag, _ in reader.tags}
    for _, attributes in reader.tags:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert "default-src 'none'" in page
    assert len(page) < 1_000_000


def test_the_answer_comes_first_and_equals_the_json(page, deepseek):
    summary = json.loads((deepseek / store.REPORT_JSON).read_text())
    text = Reader(page).text
    answer = f"Exploration costs {summary['ratio']['gpu_hours']:.2f}x the final run"
    assert answer in text
    assert text.index(answer) < text.index("What the final run will reach")
    for shown in (
        human(summary["exploration"]["gpu_hours"], 4), dollars(summary["exploration"]["usd"]), dollars(summary["final"]["usd"]),
        f"{summary['forecast']['prediction']['loss']:.3f}", human(summary["allocation"]["params"]),
    ):  # fmt: skip
        assert shown in text


def test_the_caveats_name_the_mixture_of_experts_assumption_and_the_simulation(page):
    text = Reader(page).text
    assert "Mixture of experts: one law in active parameters" in text
    assert "No model was trained" in text
    assert "The hidden law has the form that is fitted" in text


def test_ids_are_unique_on_the_page(page):
    ids = [attributes["id"] for _, attributes in Reader(page).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_figure_has_words_for_those_who_cannot_see_it(page):
    pictures = [attributes for tag, attributes in Reader(page).tags if tag == "svg"]
    assert len(pictures) == 4
    assert all(attributes.get("role") == "img" and attributes.get("aria-label") for attributes in pictures)


@pytest.fixture(scope="module")
def nasty(tmp_path_factory) -> Path:
    """A sweep whose ideas have hostile names, small enough to be quick."""
    folder = tmp_path_factory.mktemp("nasty")
    text = (REPOSITORY / "sweeps/deepseek_v3.toml").read_text()
    text = text[: text.index("[[idea]]")] + "".join(f"[[idea]]\nname = {json.dumps(name)}\n" for name in NASTY)
    text = re.sub(r'question = ".*"', 'question = "<b>Which</b> & why?"', text)
    (folder / "nasty.toml").write_text(text)
    done = run_planner("run", "nasty.toml", "-o", "out", cwd=folder)
    assert done.code == 0, done.err
    assert not (folder / "pwned").exists()
    return folder / "out"


def test_hostile_names_stay_text_in_the_page(nasty):
    page = (nasty / store.REPORT_HTML).read_text()
    reader = Reader(page)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert "<b>Which" not in page
    words = " ".join(reader.text.split())
    for name in NASTY:
        assert " ".join(name.split()) in words


def test_hostile_names_stay_text_in_markdown(nasty):
    text = (nasty / store.REPORT_MARKDOWN).read_text()
    assert "<script>" not in text
    assert "<b>" not in text
    decisions = ("| promote |", "| hold |", "| drop |")
    rows = [line for line in text.splitlines() if line.endswith(decisions)]
    assert len(rows) == len(NASTY)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 6 for line in rows)


def chromium(*arguments: str, page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", *arguments, page.resolve().as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt-get install chromium)")


@needs_chromium
def test_a_real_browser_shows_the_page_without_a_console_error(deepseek, tmp_path):
    done = chromium("--dump-dom", page=deepseek / store.REPORT_HTML, folder=tmp_path)
    assert "CONSOLE" not in done.stderr
    assert "Exploration costs" in html.unescape(re.sub(r"<[^>]+>", "", done.stdout))
    assert done.stdout.count("<svg") == 4


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out_of_the_page_in_a_real_browser(deepseek, tmp_path, width):
    # The browser writes what it measured into the title of a copy that may run a script.
    probe = "<script>addEventListener('load', () => document.title = 'wide ' + document.documentElement.scrollWidth)</script>"
    page = (deepseek / store.REPORT_HTML).read_text()
    copy = tmp_path / "copy.html"
    copy.write_text(re.sub(r"<meta http-equiv[^>]*>", "", page).replace("</head>", probe + "</head>"))
    # A window of a headless browser is at least 500 wide, so a frame stands in for a phone.
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<iframe id=f src=copy.html style='width:{width}px;height:900px;border:0'></iframe><script>addEventListener('load', () =>"
        "document.title = 'inner ' + f.contentDocument.documentElement.scrollWidth)</script>"
    )
    done = chromium(
        "--dump-dom", "--allow-file-access-from-files", f"--window-size={width + 100},900", page=frame, folder=tmp_path
    )
    measured = re.search(r"<title>inner (\d+)", done.stdout)
    assert measured, done.stdout[:300]
    assert int(measured.group(1)) <= width


@needs_chromium
def test_a_hostile_name_runs_nothing_in_a_real_browser(nasty, tmp_path):
    done = chromium("--dump-dom", page=nasty / store.REPORT_HTML, folder=tmp_path)
    assert "CONSOLE" not in done.stderr
    assert "<script" not in done.stdout
