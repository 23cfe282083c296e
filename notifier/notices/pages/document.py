"""The frame and the style of French pages for the house. Pure: the same arguments give the same bytes.

A page opens from a folder, without a network: no script, no font, no picture, nothing loaded. It can be read on a
phone, in light and dark, aloud and on paper (RGAA 4.1, WCAG 2.1 AA): landmarks, headings in order, contrast of 4.5 to 1
and more, text of 16 px and more, no meaning by colour alone.
"""

from __future__ import annotations

from markupsafe import Markup

# Nothing can be loaded even if a text tried to: the browser is told so.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

STYLE = """\
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1d2733; --quiet: #46525f; --title: #12395b;
  --link: #0b4f8a; --line: #c9d1da; --card: #f6f8fa; --notice: #fff6dc; --edge: #8a6100; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181d; --ink: #e8ebee; --quiet: #b9c2cb; --title: #a9cdec;
    --link: #9fc9f0; --line: #48535f; --card: #1d232a; --notice: #332b14; --edge: #e3bf62; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.6 Verdana, Arial, Helvetica, sans-serif; }
.page { max-width: 960px; margin: 0 auto; padding: 16px; overflow-wrap: anywhere; }
.skip { position: absolute; left: -10000px; }
.skip:focus { position: static; }
h1, h2, h3 { color: var(--title); line-height: 1.3; }
h1 { font-size: 27px; margin: 16px 0; }
h2 { font-size: 22px; margin: 40px 0 12px; padding-top: 16px; border-top: 1px solid var(--line); }
h3 { font-size: 19px; margin: 0 0 12px; }
a { color: var(--link); text-decoration: underline; }
a:focus-visible { outline: 3px solid var(--edge); outline-offset: 2px; }
.warn { background: var(--notice); border: 2px solid var(--edge); border-radius: 6px; padding: 12px 16px; }
.warn p { margin: 0; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--quiet); padding-bottom: 8px; }
th, td { border: 1px solid var(--line); padding: 8px 10px; text-align: left; vertical-align: top; }
thead th { background: var(--card); }
.count { text-align: right; white-space: nowrap; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 16px; margin: 0 0 20px; }
dl { margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0 0 10px; }
dd p { margin: 0; }
dd ul, article ul { margin: 0; padding-left: 22px; }
.code { font-family: Consolas, Menlo, monospace; font-size: 16px; }
.files { list-style: none; padding: 0 !important; margin-top: 12px !important; display: flex; flex-wrap: wrap;
  gap: 8px 24px; }
.files a { display: inline-block; padding: 6px 0; }
pre { white-space: pre-wrap; font: 16px/1.5 Consolas, Menlo, monospace; }
footer { border-top: 1px solid var(--line); margin-top: 40px; padding-top: 12px; color: var(--quiet); }
@media (min-width: 700px) {
  dl { display: grid; grid-template-columns: 220px 1fr; gap: 4px 16px; }
  dd { margin: 0; }
}
@media print {
  :root { color-scheme: light; --paper: #ffffff; --ink: #000000; --quiet: #333333; --title: #000000; --link: #000000;
    --card: #ffffff; --notice: #ffffff; --edge: #000000; --line: #777777; }
  body { font-size: 11pt; }
  .page { max-width: none; padding: 0; }
  .skip { display: none; }
  article, tr, .warn { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
"""

_DOCUMENT = Markup("""\
<!doctype html>
<html lang="fr" dir="ltr">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<div class="page">
<a class="skip" href="#contenu">Aller au contenu</a>
<header>
<h1>{title}</h1>
{lead}
</header>
<main id="contenu">
{body}
</main>
<footer>
{foot}
</footer>
</div>
</body>
</html>
""")


def document(*, title: str, lead: Markup, body: Markup, foot: Markup) -> str:
    """A whole page. ``title``: plain text, of the window and as <h1>, so sections of ``body`` begin at <h2>."""
    return str(_DOCUMENT.format(policy=POLICY, title=title, style=Markup(STYLE), lead=lead, body=body, foot=foot))  # noqa: S704  (ours)


def warning(text: str) -> Markup:
    """What must be read first. The words say it, the frame only repeats it."""
    return Markup('<div class="warn" role="note"><p><strong>{}</strong></p></div>').format(text)


def facts(pairs: list[tuple[str, str | Markup]]) -> Markup:
    """Term and description; empty descriptions are left out."""
    rows = [Markup("<dt>{}</dt><dd>{}</dd>").format(term, said) for term, said in pairs if said]
    return Markup("<dl>\n{}\n</dl>").format(Markup("\n").join(rows))


def bullets(items: list[str]) -> Markup:
    """A list."""
    return Markup("<ul>{}</ul>").format(Markup("").join(Markup("<li>{}</li>").format(item) for item in items))
