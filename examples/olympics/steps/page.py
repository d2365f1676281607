"""Write a table of continents as a page with bars. Reads standard input; the title is the only argument."""

import html
import sys

title = html.escape(sys.argv[1])
rows = [line.rstrip("\n").split("\t") for line in sys.stdin]
most = max(int(games) for _, games, *_ in rows)
page = [
    f"<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>\n<title>{title}</title>\n<h1>{title}</h1>",
    "<table>\n<tr><th>Continent<th>Games<th><th>Cities",
]
for continent, games, _, _, cities in rows:
    width = 20 * int(games) / most
    bar = f"<div style='width: {width:.1f}em; background: teal'>&nbsp;</div>"
    page.append(f"<tr><td>{html.escape(continent)}<td>{games}<td>{bar}<td>{html.escape(cities)}")
page.append("</table>\n")
sys.stdout.write("\n".join(page))
