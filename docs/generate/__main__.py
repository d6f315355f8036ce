"""`make docs`: writes the pages."""

from docs.generate.pages import pages

for path, text in pages().items():
    path.write_text(text, encoding="utf-8")
