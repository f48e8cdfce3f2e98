"""Write the gallery: one page that needs nothing but the pictures beside it.

It has no script, no font and no external address, so it opens from a disk without a network. Every
text from outside is escaped.
"""

from collections.abc import Sequence
from html import escape
from typing import Final
from urllib.parse import quote

from darkroom.demo.made import Made, Refused

__all__ = ["gallery"]

_STYLE: Final = """
:root { color-scheme: dark; --ground: #100f12; --paper: #ece7de; --quiet: #a39c92;
  --faint: #7d766e; --line: #2a272b; --lamp: #e85438; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--paper);
  font: 16px/1.5 "Avenir Next", "Segoe UI", Inter, Roboto, "Helvetica Neue", sans-serif; }
main, header, footer { max-width: 1680px; margin: 0 auto; padding: 0 clamp(16px, 4vw, 64px); }
header { padding-top: clamp(32px, 6vw, 80px); padding-bottom: 28px; display: flex;
  flex-wrap: wrap; gap: 12px 32px; align-items: end; justify-content: space-between; }
h1 { font-size: clamp(36px, 5vw, 64px); font-weight: 500; letter-spacing: -0.02em;
  line-height: 1.05; margin: 0 0 8px; }
h2 { font-size: 22px; font-weight: 500; margin: 56px 0 12px; }
header p { margin: 0; color: var(--quiet); max-width: 62ch; }
.mark { color: var(--lamp); border: 1.5px solid var(--lamp); border-radius: 99px;
  padding: 4px 18px; white-space: nowrap; }
.wall { display: flex; flex-wrap: wrap; gap: 28px 18px; }
.wall::after { content: ""; flex: 1000 1 0; }
figure { margin: 0; flex: var(--shape) 1 calc(var(--shape) * 270px); min-width: 0;
  max-width: calc(var(--shape) * 460px); }
figure img { width: 100%; height: auto; display: block; border-radius: 3px;
  background: #1b1a1d; transition: filter .2s; }
figure a:hover img, figure a:focus-visible img { filter: brightness(1.08); }
a { color: inherit; }
figcaption { padding-top: 10px; }
.prompt { display: block; font-size: 16px; line-height: 1.35; }
.facts { display: block; color: var(--quiet); font-size: 13px; margin-top: 4px; }
code { font: 11.5px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; color: var(--faint);
  overflow-wrap: anywhere; display: block; margin-top: 4px; }
.refused { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr));
  gap: 18px; padding: 0; margin: 0; list-style: none; }
.refused li { border: 1px solid var(--line); border-left: 3px solid var(--lamp);
  border-radius: 3px; padding: 16px 20px; }
footer { color: var(--faint); font-size: 13px; padding-top: 56px; padding-bottom: 64px; }
"""

_NBSP: Final = "\N{NO-BREAK SPACE}"
_DOT: Final = f"{_NBSP}\N{MIDDLE DOT} "

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><div><h1>{title}</h1><p>{line}</p></div>{mark}</header>
<main>
<section class="wall" aria-label="pictures">
{figures}
</section>
{refused}
</main>
<footer>{foot}</footer>
</body>
</html>
"""

_FIGURE: Final = """<figure style="--shape: {shape:.4f}">
<a href="{link}"><img src="{link}" alt="{prompt}" width="{width}" height="{height}"
  loading="lazy"></a>
<figcaption><span class="prompt">{prompt}</span>
<span class="facts">{facts}</span>
<code title="object key in the bucket">{key}</code></figcaption>
</figure>"""

_REFUSED: Final = """<li><span class="prompt">{prompt}</span>
<span class="facts">refused {where}: {reason}</span></li>"""


def gallery(
    pictures: Sequence[Made],
    refused: Sequence[Refused],
    *,
    title: str,
    line: str,
    mark: str,
    foot: str,
    folder: str,
) -> str:
    """Return the page.

    Args:
        pictures: the pictures to show.
        refused: the prompts without a picture, and why.
        title: of the page.
        line: beneath the title.
        mark: at the right of the title, such as `simulated`; nothing if empty.
        foot: at the end.
        folder: of the pictures' files, relative to the page; empty for the page's own.

    Returns:
        HTML, to be written as UTF-8.
    """
    return _PAGE.format(
        title=escape(title),
        style=_STYLE,
        line=escape(line),
        mark=f'<span class="mark">{escape(mark)}</span>' if mark else "",
        figures="\n".join(_figure(made, folder) for made in pictures),
        refused=_refusals(refused),
        foot=escape(foot),
    )


def _figure(made: Made, folder: str) -> str:
    facts = (
        made.model,
        made.look,
        f"{made.width} \N{MULTIPLICATION SIGN} {made.height}",
        f"seed {made.seed}",
        f"{made.seconds:.1f} s",
    )
    path = f"{folder}/{made.file.name}" if folder else made.file.name
    return _FIGURE.format(
        shape=made.width / made.height,
        link=escape(quote(path)),
        prompt=escape(made.prompt),
        width=made.width,
        height=made.height,
        facts=escape(_DOT.join(fact.replace(" ", _NBSP) for fact in facts if fact)),
        key=escape(made.object_key),
    )


def _refusals(refused: Sequence[Refused]) -> str:
    if not refused:
        return ""
    items = "\n".join(
        _REFUSED.format(
            prompt=escape(one.prompt), where=escape(one.where), reason=escape(one.reason)
        )
        for one in refused
    )
    return f'<h2>Refused, as they should be</h2>\n<ul class="refused">\n{items}\n</ul>'
