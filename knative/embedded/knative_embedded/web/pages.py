"""The few pages that the ingress itself shows. Pure.

Self-contained, light and dark, never indexed; a client that does not ask for HTML gets JSON or plain text.
"""

import html
import json

_STYLE = """
:root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#1d2330;--soft:#5b6475;--line:#e3e6ec}
@media(prefers-color-scheme:dark){:root{--back:#14171d;--card:#1d222b;--text:#e8ebf1;--soft:#9aa4b5;--line:#2c3340}}
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;
background:var(--back);color:var(--text);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:34rem;width:100%;background:var(--card);border:1px solid var(--line);border-radius:14px;padding:2.2rem}
h1{font-size:1.35rem;line-height:1.3;margin:0 0 .8rem}p{margin:.6rem 0;color:var(--soft)}
code{font-size:.92em;overflow-wrap:anywhere}
""".replace("\n", "")


def render_page(title: str, paragraphs: list[str]) -> bytes:
    """A page of plain words; both arguments are text, not HTML."""
    body = "".join(f"<p>{html.escape(one)}</p>" for one in paragraphs)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{html.escape(title)}</h1>{body}</main></body></html>"
    ).encode()


def make_answer(accept: str, reason: str, title: str, paragraphs: list[str]) -> tuple[str, bytes]:
    """Content type and body for what the client accepts: HTML, JSON, or plain text."""
    text = " ".join([f"{title}.", *paragraphs])
    if "text/html" in accept:
        return "text/html; charset=utf-8", render_page(title, paragraphs)
    if "text/plain" in accept:
        return "text/plain; charset=utf-8", text.encode() + b"\n"
    return "application/json", json.dumps({"reason": reason, "message": text}).encode() + b"\n"


def ended(when: str) -> tuple[str, list[str]]:
    """Title and words for a host whose Service was deleted. `when` is RFC 3339 in UTC."""
    day, _, clock = when.partition("T")
    return "This page has ended", [
        f"The page that stood here was removed on {day} at {clock[:5]} UTC. Its address is not in use any more.",
        "To see it again, open it anew from the place where you found this link.",
    ]


def unknown(host: str) -> tuple[str, list[str]]:
    """Title and words for a host that nobody knows."""
    return "Nothing is served here", [f"There is no page at {host}. Please check the address."]


def failed(reason: str) -> tuple[str, list[str]]:
    """Title and words for a Service that cannot start."""
    return "This page could not be started", [reason, "It is tried again with the next request."]
