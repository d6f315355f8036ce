"""The trends: curves of the errors and dead letters by minute, which a Faust app counts.

`curves.py` is pure: it counts, and says which entries have changed. `table.py` is a Faust table of these entries, which
Kafka keeps in a changelog. `app.py` has the Faust app: its agents read, its timer writes.
"""
