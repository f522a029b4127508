"""The parts of the report, as blocks that a page and Markdown both show."""
