"""The transactional worker: a group member that commits its output and its input offsets in one transaction.

`engine.py` has the loop, `handler.py` the protocol of a handler. `restore.py` reads the committed offsets and the
journal after an assignment. Nothing here imports Faust: `streams/app.py` runs the worker.
"""
