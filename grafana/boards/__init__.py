"""Grafana dashboards as code: `python -m grafana.boards` writes them as JSON.

`promql` has the expressions that repeat, `draw` and `table` the kinds of panels, `dashboard` what surrounds them;
`overview` and the others are what is shown. Nothing here knows the catalogue: the tests hold every query against it.
"""
