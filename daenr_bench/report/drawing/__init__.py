"""Charts as inline SVG, without scripts: colours come from the page's style, so that they follow light and dark."""
