"""The transactional worker: a member of its group that commits what it makes with the offsets it was made of.

`engine.py` is its loop, `handler.py` says what the work in it is, `past.py` what of that work Kafka has. Nothing here
knows Faust: `streams/app.py` runs it.
"""
