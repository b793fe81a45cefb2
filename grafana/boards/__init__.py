"""Grafana dashboards as code: `python -m grafana.boards` writes them as JSON.

`kit` builds JSON: `panel`, `draw` and `table` the panels, `promql` the expressions that repeat, `dashboard` what
surrounds them. `pages` has one module for each dashboard, `rows` the rows that are too long for their page. Nothing
here imports the catalogue: the tests check every query against it.
"""
