"""Speed of the whole application, measured side by side in one run: `make bench`, or `python -m bench PART`.

`parts` lists what can be measured and runs it, each part apart; `page` writes the JSON and the one page, `plots` its
pictures. Every other module belongs to one part: `engines`, `site`, `lists`, `queue`, `processes`, `training`.
"""
