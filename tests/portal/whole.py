"""What of a page's texts cannot be read whole, by the boxes that Chromium lays out.

A text is cut if it leaves the box of its cell, or a box that hides what leaves it. What can be
scrolled to is not cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import Page

LONGEST_NAME: Final = 24  # letters; longer names may be cut, with the whole one on hover

_TEXTS = """
() => {
    const slack = 1;  // px; boxes end between two pixels
    const clips = (value) => value === 'hidden' || value === 'clip';
    const scrolls = (value) => value === 'auto' || value === 'scroll';
    const isHidden = (one) => !one.checkVisibility({ opacityProperty: true, visibilityProperty: true });

    // What hides a text: its cell, the page's edge, or an ancestor's overflow; null if nothing does.
    function cutBy(start, boxes) {
        let cell = start.closest('td, th, dd, dt, .badge, .button');
        let acrossIsFree = false, downIsFree = false;
        for (let one = start; one !== document.documentElement; one = one.parentElement) {
            const style = getComputedStyle(one), edge = one.getBoundingClientRect();
            if (style.clipPath !== 'none' && edge.width <= 1) return null;  // for screen readers only
            const across = clips(style.overflowX) || one === cell, down = clips(style.overflowY);
            if (!acrossIsFree && across && boxes.some((box) => box.left < edge.left - slack || box.right > edge.right + slack))
                return one;
            if (!downIsFree && down && boxes.some((box) => box.top < edge.top - slack || box.bottom > edge.bottom + slack))
                return one;
            acrossIsFree ||= scrolls(style.overflowX);
            downIsFree ||= scrolls(style.overflowY);
            if (style.position === 'fixed') return null;
        }
        const right = document.documentElement.clientWidth;
        return !acrossIsFree && boxes.some((box) => box.left < -slack || box.right > right + slack) ? document.body : null;
    }

    const namesOf = (one) => [...one.classList].filter((name) => !/^s(velte)?-/.test(name));
    const named = (one) => one === null ? '' : [one.tagName.toLowerCase(), ...namesOf(one)].join('.');
    const placeOf = (one) => `${named(one.parentElement)} > ${named(one)}`;
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
        const one = node.parentElement, text = node.data.trim();
        if (text === '' || isHidden(one) || one.closest('option, svg, script, style, .only-heard')) continue;
        range.selectNodeContents(node);
        const boxes = [...range.getClientRects()].filter((box) => box.width > 0);
        const by = boxes.length === 0 ? null : cutBy(one, boxes);
        found.push({ text, place: placeOf(one), by: by === null ? '' : named(by),
                     whole: [...titles(one)].some((title) => title.includes(text)) });
    }

    function* titles(one) {
        for (let at = one; at !== null; at = at.parentElement) if (at.title) yield at.title;
    }

    // The texts of fields are not in the document. Typed words are read with the caret.
    const pen = document.createElement('canvas').getContext('2d');
    for (const one of document.querySelectorAll('select, input:not([type="checkbox"], [type="radio"], [type="range"])')) {
        const shown = one.tagName === 'SELECT' ? one.selectedOptions[0]?.label ?? '' : one.value || one.placeholder;
        if (shown === '' || isHidden(one) || one.clientWidth <= 1) continue;
        if (one.tagName === 'INPUT' && /\\p{L}/u.test(one.value)) continue;
        const style = getComputedStyle(one);
        pen.font = style.font;
        pen.letterSpacing = style.letterSpacing === 'normal' ? '0px' : style.letterSpacing;
        const room = one.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
        const by = pen.measureText(shown).width > room + slack ? named(one) : '';
        found.push({ text: shown, place: placeOf(one), by, whole: one.title.includes(shown) });
    }

    // Cells of figures, whatever else is in them.
    for (const one of document.querySelectorAll('td, th, dd'))
        if (/\\d/.test(one.innerText) && !isHidden(one) && one.scrollWidth > one.clientWidth + slack)
            found.push({ text: one.innerText.trim(), place: placeOf(one), by: named(one), whole: false });
    return found;
}
"""

_SCROLLED = """
() => [...document.querySelectorAll('main *')].filter((one) => one.scrollWidth > one.clientWidth + 1
    && ['auto', 'scroll'].includes(getComputedStyle(one).overflowX)).map((one) => one.className.split(' ')[0])
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text that the page shows."""

    text: str
    place: str
    by: str
    """What cuts it; empty if it is whole."""
    whole: bool
    """Whether the whole text appears on hover."""

    @property
    def may_be_cut(self) -> bool:
        """Whether it is a long name, whose whole appears on hover."""
        letters = sum(letter.isalpha() for letter in self.text)
        return self.whole and letters > LONGEST_NAME


def texts(page: Page) -> Sequence[Text]:
    """All texts that a page shows."""
    return [Text(**one) for one in page.evaluate(_TEXTS)]


def cut(page: Page) -> list[str]:
    """The texts that are cut and may not be."""
    return [f"{one.text!r} of {one.place} by {one.by}" for one in texts(page) if one.by and not one.may_be_cut]


def scrolled_sideways(page: Page) -> list[str]:
    """The parts of a page that are scrolled sideways."""
    return [str(name) for name in page.evaluate(_SCROLLED)]
