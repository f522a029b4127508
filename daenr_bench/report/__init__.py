"""The report on a result: Markdown for a pull request, one self-contained page for everybody else.

`source.py` reads the result and its samples, `answers.py` says in plain words whether an engine can be trusted,
`sections/` turns figures into tables and drawings (`drawing/`), `page.py` and `markdown.py` put them into a document.
"""
