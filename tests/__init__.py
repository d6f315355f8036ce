"""The tests, in folders that mirror the packages.

- `unit/` needs no server; `integration/` uses real ones. Tests at the top of `integration/` span several stages.
- `browser/` drives Chromium over the pages (`make test-browser`; it is not among those of `make test`).
- `recorded/` holds the product to what an earlier version wrote, across all packages.
- `deploy/` reads the files of `deploy/`; `faults/` breaks processes and servers.
- `fuzz/` sends random bytes to what decodes requests.
- `kit/` is what they share. It imports no test, and the other folders do not import each other.
"""
