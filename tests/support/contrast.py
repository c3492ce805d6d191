"""How well something on a page can be seen: WCAG's ratio between two colours, 4.5 for text and 3 for lines."""

from playwright.sync_api import Page

# The ratio, and the nearest colour behind an element.
CONTRAST = """
  const light = text => { const [r, g, b] = text.match(/[0-9.]+/g).map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const ratio = (one, other) => { const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + .05) / (dark + .05); };
  const behind = element => { const back = getComputedStyle(element).backgroundColor;
    return /, 0\\)$/.test(back) ? behind(element.parentElement) : back; };
"""


def contrast(page: Page, selector: str, ink: str) -> float:
    """Of an element's ink."""
    script = f"""([selector, ink]) => {{ {CONTRAST} const element = document.querySelector(selector);
      return ratio(getComputedStyle(element)[ink], behind(element)); }}"""
    ratio: float = page.evaluate(script, [selector, ink])
    return ratio


def contrast_of_least(page: Page) -> float:
    """Of the line of the lowest value, in the colour of the legend's foot and as the style changes it."""
    script = f"""() => {{ {CONTRAST} const lines = document.querySelector(".parcoords canvas.foreground");
      const dot = new OffscreenCanvas(1, 1).getContext("2d");
      dot.filter = getComputedStyle(lines).filter;
      dot.fillStyle = document.querySelector("#mygrad stop").style.stopColor;
      dot.fillRect(0, 0, 1, 1);
      return ratio(String(dot.getImageData(0, 0, 1, 1).data.slice(0, 3)), behind(lines)); }}"""
    ratio: float = page.evaluate(script)
    return ratio
