"""The parts of the page. Each module turns a source into one section, or None where there is nothing to show."""
