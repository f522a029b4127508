"""A page in headless Chromium: where it is, what is opened in it, and what a page must not show."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INSTALLED = Path(__file__).parents[1] / "doubles" / "install_chromium.sh"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(e => {
    if (e.closest('.scroll') || e.closest('.skip') || e.closest('svg *') || e.closest('thead')) return false;
    const box = e.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.left < -1);
}).map(e => e.outerHTML.slice(0, 80))"""

# Texts of a chart that stick out of it on the left, or lie on top of each other on an axis.
CLIPPED = """() => [...document.querySelectorAll('figure svg')].flatMap(svg => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(t => {
        const box = t.getBoundingClientRect();
        return box.left < frame.left - 2 || box.right > frame.right + 12 || box.bottom > frame.bottom + 2;
    }).map(t => t.textContent);
})"""

# WCAG: contrast of texts with what is behind them.
CONTRAST = """() => {
    const parse = c => c.match(/[\\d.]+/g).map(Number);
    const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const light = c => { const [r, g, b] = c.map(v => linear(v / 255));
        return .2126 * r + .7152 * g + .0722 * b; };
    const behind = e => { for (; e; e = e.parentElement) {
        const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
        return [255, 255, 255]; };
    const found = new Map();
    for (const e of document.querySelectorAll('body *')) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
        if (['title', 'desc'].includes(e.tagName)) continue;
        const style = getComputedStyle(e), ink = parse(e.closest('svg') ? style.fill : style.color);
        const [a, b] = [light(ink.slice(0, 3)), light(behind(e).slice(0, 3))].sort((x, y) => y - x);
        const name = `${e.tagName}.${e.className.baseVal ?? e.className}`;
        if ((a + .05) / (b + .05) < 4.5) found.set(name, (a + .05) / (b + .05));
    }
    return [...found.entries()];
}"""


@dataclass
class Opened:
    """A page in a browser, with all that the browser complained about or asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def chromium_path() -> str | None:
    """Where a Chromium is: what $DAENR_CHROMIUM says, one of the system's, or what install_chromium.sh unpacked."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "daenr"
    unpacked = sorted(cache.glob("chromium-*/chromium"))
    found = [os.environ.get("DAENR_CHROMIUM"), *map(shutil.which, _NAMES), *map(str, unpacked)]
    return next((path for path in found if path and Path(path).exists()), None)
