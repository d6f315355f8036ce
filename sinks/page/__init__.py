"""`tracelink page`: problems, traces with their log lines, and a search, as web pages made by the server.

`live.py` follows the topic of problems and `curves.py` that of the trends, each in a thread (`follower.py`).
`traces.py` and `search.py` ask Elasticsearch. `waterfall.py`, `clock_skew.py`, `trace_page.py`, `record_fields.py`,
`problem_list.py` and `search_query.py` are pure: they say what is shown. `views.py` fills the templates with it,
`app.py` has the addresses, `access.py` says who may see them, and `process.py` serves them.
"""
